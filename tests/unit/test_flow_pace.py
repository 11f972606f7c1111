"""The pace of API calls: even, exact on the whole, and moved by what Plivo asks."""

from __future__ import annotations

import asyncio

import pytest

from plivostatusd.flows.pace import LATE_S_MAX, Pace


@pytest.mark.parametrize("per_second", [60.0, 5.0])
def test_a_little_late(per_second: float) -> None:
    """Turns that are taken late, each by less than one turn, add no lateness up."""
    pace, late_s = Pace(per_second), min(LATE_S_MAX, 1 / per_second) * 0.9
    pace.spend(1_000.0)
    for turn in range(1, 100):
        pace.spend(pace.next_s + late_s)
        assert pytest.approx(1_000.0 + (turn + 1) / per_second) == pace.next_s


@pytest.mark.parametrize(("per_second", "late_s"), [(60.0, 1 / 50), (5.0, 0.11), (0.1, 9.0)])
def test_too_late(per_second: float, late_s: float) -> None:
    """What is later than a turn, or than a moment, is not made up for: there is no burst."""
    pace = Pace(per_second)
    pace.spend(1_000.0)
    turn_s = pace.next_s + late_s
    pace.spend(turn_s)
    assert pytest.approx(turn_s + 1 / per_second) == pace.next_s


async def test_a_pace_that_moves(io_loop: object) -> None:
    """Whoever waits for the pace waits on when it is held back meanwhile; a call spends a turn."""
    pace, loop = Pace(20.0), asyncio.get_running_loop()
    pace.spend(await pace.wait())
    waiting = asyncio.ensure_future(pace.wait())
    await asyncio.sleep(0)
    pace.hold_back(0.08)
    begun_s = loop.time()
    turn_s = await waiting
    assert 0.079 <= turn_s - begun_s
    pace.hold_back(0.0)
    pace.spend(turn_s)
    assert 0.04 < pace.next_s - loop.time() <= 0.051  # uvloop tells whole milliseconds


async def test_a_pace_that_changes(io_loop: object) -> None:
    """Whoever waits at a slow pace goes on at once when it becomes a fast one, but not before."""
    pace, loop = Pace(0.001), asyncio.get_running_loop()
    pace.spend(await pace.wait())
    waiting = [asyncio.ensure_future(pace.wait()) for _ in range(2)]
    await asyncio.sleep(0)
    spent_s = loop.time()
    pace.per_second = 20.0
    await asyncio.gather(*waiting)
    assert 0.04 <= loop.time() - spent_s < 5
