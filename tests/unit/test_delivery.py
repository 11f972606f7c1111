"""Percentiles from counts by step."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import pytest

from plivostatusd.domain import delivery
from plivostatusd.store import database

STEP = "UPDATE messages SET delivery_ms = ? RETURNING took"
ROW = (
    "INSERT INTO messages (id, current_status, created_at, updated_at, room)"
    " VALUES ('x', 'sent', 1, 1, x'')"
)


@pytest.fixture(scope="module")
def steps() -> Iterator[sqlite3.Connection]:
    """A store's schema in memory, with one message."""
    with closing(sqlite3.connect(":memory:")) as connection:
        for step in database.migrations():
            connection.executescript(step)
        connection.execute(ROW)
        yield connection


def step_of(steps: sqlite3.Connection, took_ms: int) -> int:
    """Say by which step the store counts a delivery."""
    return int(steps.execute(STEP, (took_ms,)).fetchone()[0])


@pytest.mark.parametrize(
    "took_ms",
    [0, 1, 63, 64, 1_023, 1_024, 1_151, 1_152, 2_047, 2_048, 60_000, 259_200_000, (1 << 28) - 1],
)
def test_a_step_holds_what_is_counted_by_it(steps: sqlite3.Connection, took_ms: int) -> None:
    """The store's steps are those whose width is known here, and none is wider than an eighth."""
    step = step_of(steps, took_ms)
    assert step == delivery.step_of(took_ms)
    assert step <= took_ms < step + delivery.step_ms(step)
    assert delivery.step_ms(step) <= max(delivery.FINE_MS, step / 8)


def test_what_is_not_known_has_no_step(steps: sqlite3.Connection) -> None:
    """A message of which the time of delivery is not known is in no step."""
    assert (None,) == steps.execute(STEP, (None,)).fetchone()


def test_the_last_step_has_no_end(steps: sqlite3.Connection) -> None:
    """What takes longer than three days is counted by one step."""
    assert (1 << 28, 0) == (step_of(steps, 10**12), delivery.step_ms(1 << 28))
    assert 1 << 28 == delivery.step_of(10**12)


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_percentile(steps: sqlite3.Connection, share: float) -> None:
    """A percentile from steps is within a sixteenth of the exact one."""
    draw = random.Random(7)
    took = sorted(int(draw.lognormvariate(8, 1)) for _ in range(5_000))
    assert all(step_of(steps, each) == delivery.step_of(each) for each in took)
    counts = Counter(step_of(steps, each) for each in took)
    found = delivery.percentile_s(counts, share)
    exact = took[int(share * len(took))] / 1_000
    assert found == pytest.approx(exact, rel=1 / 16)


def test_of_nothing() -> None:
    """Of no deliveries there is no percentile."""
    assert delivery.percentile_s({}, 0.5) is None


def test_of_one() -> None:
    """Of one delivery every percentile is within its step."""
    for share in (0.0, 0.5, 1.0):
        assert 2.048 <= (delivery.percentile_s({2_048: 1}, share) or 0) <= 2.304
