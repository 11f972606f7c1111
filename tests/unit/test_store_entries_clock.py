"""The outbox over a restart: instants of a clock that is gone become those of the one that runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from plivostatusd.store import entries
from tests.unit.store_place import SECOND_US, START_US, Place, opened, submission

HOUR_US = 3_600 * SECOND_US
WEEK_US = entries.WAIT_US_MAX


async def do(place: Place, job: Any, *arguments: Any) -> Any:
    """Run one of the store's functions in a transaction."""
    return await place.writer.submit(lambda tx: job(tx, *arguments))


def instants(place: Place) -> tuple[int | None, ...]:
    """Give what the one entry waits by, from now on: accepted, due, first tried."""
    (row,) = place.rows("SELECT accepted_at, due_at, first_tried_at FROM outbox")
    return tuple(None if each is None else each - START_US for each in row)


async def waiting(place: Place, accepted_us: int, tried_us: int | None, due_us: int) -> None:
    """Have one entry wait."""
    await place.accept(submission())
    await do(
        place,
        lambda tx: tx.execute(
            "UPDATE outbox SET accepted_at = ?, first_tried_at = ?, due_at = ?",
            (
                START_US + accepted_us,
                None if tried_us is None else START_US + tried_us,
                START_US + due_us,
            ),
        ),
    )


@pytest.mark.parametrize("drift_us", [0, SECOND_US, -SECOND_US])
async def test_two_clocks_that_agree(tmp_path: Path, drift_us: int) -> None:
    """Where both clocks of the last process told the same time, nothing is moved."""
    async with opened(tmp_path) as place:
        await waiting(place, -HOUR_US, -HOUR_US // 2, HOUR_US)
        await do(place, entries.reset_clock, START_US, drift_us)
        assert (-HOUR_US, HOUR_US, -HOUR_US // 2) == instants(place)


@pytest.mark.parametrize("tried_us", [-30 * SECOND_US, None])
@pytest.mark.parametrize("drift_us", [5 * HOUR_US, -5 * HOUR_US])
async def test_two_clocks_that_came_apart(
    tmp_path: Path, drift_us: int, tried_us: int | None
) -> None:
    """What lies between them is added: ages and waits stay what they were."""
    async with opened(tmp_path) as place:
        tried = None if tried_us is None else tried_us - drift_us
        await waiting(place, -60 * SECOND_US - drift_us, tried, 90 * SECOND_US - drift_us)
        await do(place, entries.reset_clock, START_US, drift_us)
        assert (-60 * SECOND_US, 90 * SECOND_US, tried_us) == instants(place)


async def test_nothing_lies_too_far_ahead(tmp_path: Path) -> None:
    """Nothing was accepted or tried in the future, nor is due later than any wait allows."""
    async with opened(tmp_path) as place:
        await waiting(place, 9_000 * HOUR_US, 8_000 * HOUR_US, 9_000 * HOUR_US)
        await do(place, entries.reset_clock, START_US, 0)
        assert (0, WEEK_US, 0) == instants(place)
        await waiting_again(place, WEEK_US)
        await do(place, entries.reset_clock, START_US, 0)
        assert (0, WEEK_US, 0) == instants(place)


async def waiting_again(place: Place, due_us: int) -> None:
    """Have the entry be due at another time."""
    await do(place, lambda tx: tx.execute("UPDATE outbox SET due_at = ?", (START_US + due_us,)))


async def test_it_is_claimed_in_its_time(tmp_path: Path) -> None:
    """After the clock was set right an entry is claimed exactly when it has waited enough."""
    async with opened(tmp_path) as place:
        await waiting(place, 0, None, -5 * HOUR_US + 90 * SECOND_US)
        await do(place, entries.reset_clock, START_US, 5 * HOUR_US)
        due_us = START_US + 90 * SECOND_US
        assert due_us == await do(place, entries.claim, START_US, due_us - 1)
        entry = await do(place, entries.claim, START_US, due_us)
        assert due_us == entry.first_tried_us
