"""A smuggler's connections, the same at every run: straight to either server, and through Nginx."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.played import SERVERS
from tests.fuzz.smuggling import MARKER
from tests.fuzz.volume import drawn, proxied, straight

SEED = 20_261_130
STRAIGHT = 1_000
PROXIED = 800


def test_drawn_again() -> None:
    """A seed draws the same connections again, few of them equal, each with a marker behind it."""
    first, second = (list(drawn(random.Random(SEED), 100)) for _ in range(2))
    assert first == second
    assert all(data.endswith(MARKER) for data in first)
    assert len({*first}) > 80


@pytest.mark.takes(4)
async def test_straight() -> None:
    """Ours takes nothing that Tornado's server refuses, and all that it takes alike."""
    tally, found = await straight(random.Random(SEED), STRAIGHT)
    assert ([], STRAIGHT) == (found, tally["connections"])
    assert tally["requests taken by ours"] > STRAIGHT / 2


@pytest.mark.takes(6)
@pytest.mark.parametrize("name", SERVERS)
async def test_proxied(name: str) -> None:
    """Of each request that reaches us Nginx knows, and each answer goes to whoever asked."""
    tally, found = await proxied(random.Random(SEED), PROXIED, name)
    assert ([], PROXIED) == (found, tally["connections"])
    assert tally["we answered 200"] > PROXIED / 2
