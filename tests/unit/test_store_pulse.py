"""The heartbeat in the store: what a start finds, and gaps that are not filled yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from plivostatusd.store import pulse
from plivostatusd.store.pulse import Past
from tests.unit.store_place import Place, opened

SECOND_US = 1_000_000


async def do(place: Place, job: Any, *arguments: Any) -> Any:
    """Run one of the store's functions in a transaction."""
    return await place.writer.submit(lambda tx: job(tx, *arguments))


def facts(place: Place) -> dict[str, str]:
    """Give all that is kept."""
    return {
        name: value
        for name, value in place.rows("SELECT name, value FROM facts")
        if name != "generation"
    }


async def test_a_new_store(tmp_path: Path) -> None:
    """Of a new store nobody was away, and nobody ended badly."""
    async with opened(tmp_path) as place:
        past = await do(place, pulse.begin, 5_000, 5_000)
        assert (None, True, 0) == (past.away_us, past.was_clean, past.drift_us)
        assert {"running": "1", "heartbeat": "5000 5000"} == facts(place)


async def test_after_a_clean_stop(tmp_path: Path) -> None:
    """How long nobody was there is told to the microsecond."""
    async with opened(tmp_path) as place:
        await do(place, pulse.begin, 0, 0)
        await do(place, pulse.end, 7_000, 7_000)
        assert {"heartbeat": "7000 7000"} == facts(place)
        past = await do(place, pulse.begin, 9_000, 9_000)
        assert (2_000, True, 0) == (past.away_us, past.was_clean, past.drift_us)


async def test_after_a_crash(tmp_path: Path) -> None:
    """The last beat tells how long nobody was there, at most; and that the stop was not clean."""
    async with opened(tmp_path) as place:
        await do(place, pulse.begin, 0, 0)
        await do(place, pulse.beat, 6_000, 6_000)
        past = await do(place, pulse.begin, 9_000, 9_000)
        assert (3_000, False, 0) == (past.away_us, past.was_clean, past.drift_us)


@pytest.mark.parametrize("drift_us", [3_600 * SECOND_US, -3_600 * SECOND_US])
async def test_two_clocks_that_came_apart(tmp_path: Path, drift_us: int) -> None:
    """What lies between the last process's two clocks is to be added to its instants."""
    async with opened(tmp_path) as place:
        await do(place, pulse.begin, 0, 0)
        await do(place, pulse.beat, 10**12 + drift_us, 10**12)
        past = await do(place, pulse.begin, 10**12 + drift_us + 4, 10**12 + drift_us + 4)
        assert (4, drift_us) == (past.away_us, past.drift_us)


async def test_a_clock_set_back_meanwhile(tmp_path: Path) -> None:
    """A start before the last beat, by the wall clock, was away for no time that is known."""
    async with opened(tmp_path) as place:
        await do(place, pulse.begin, 9_000, 9_000)
        past = await do(place, pulse.begin, 2_000, 2_000)
        assert 0 == past.away_us


async def test_what_was_found_is_told(tmp_path: Path) -> None:
    """A start knows which beat it found, and so whether that was its own."""
    async with opened(tmp_path) as place:
        assert (await do(place, pulse.begin, 1_000, 2_000)).heartbeat is None
        assert (1_000, 2_000) == (await do(place, pulse.begin, 3_000, 4_000)).heartbeat
        assert Past(None, was_clean=True, drift_us=0).heartbeat is None


async def test_gaps(tmp_path: Path) -> None:
    """An open gap is made longer by the next one, and who filled the shorter one leaves it open."""
    async with opened(tmp_path) as place:
        assert await do(place, pulse.gap) is None
        first = await do(place, pulse.open_gap, 100, 200)
        assert (100, 200) == first == await do(place, pulse.gap)
        longer = await do(place, pulse.open_gap, 300, 400)
        assert (100, 400) == longer == await do(place, pulse.gap)
        await do(place, pulse.close_gap, first)
        assert longer == await do(place, pulse.gap)
        await do(place, pulse.close_gap, longer)
        assert await do(place, pulse.gap) is None
        await do(place, pulse.close_gap, longer)
        assert (50, 60) == await do(place, pulse.open_gap, 50, 60)
        assert (10, 99) == await do(place, pulse.open_gap, 10, 99)
