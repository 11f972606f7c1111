"""kill -9 at moments of chance, a hundred times; `make soak` does it any number of times."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fault.soak import Soak
from tests.meta.source import FIGURES

ROUNDS = 100


@pytest.mark.takes(100)
@pytest.mark.timeout(600)
@pytest.mark.gen_test(timeout=580)
async def test_killed_again_and_again(
    tmp_path: Path, chance: random.Random, request: pytest.FixtureRequest
) -> None:
    """Whenever it is killed: no 200 is lost, no event is doubled, and no SMS is sent twice."""
    told = await Soak(tmp_path, chance.getrandbits(32)).run(ROUNDS)
    assert ROUNDS == told.kills
    assert told.callbacks
    assert told.sends
    request.config.stash.setdefault(FIGURES, []).append(
        f"kill -9: {told.kills} rounds, {len(told.callbacks)} callbacks answered 200 and"
        f" {len(told.sends)} sends taken, none lost, none doubled, none sent twice"
    )
