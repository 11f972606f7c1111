"""Being there: over restarts nothing waits too long or too short, whatever is done to the clock."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from plivostatusd.domain.asking import LAST_WORD_SENT
from plivostatusd.domain.errors import StoreUnavailable
from plivostatusd.flows.pulse import Pulse
from plivostatusd.host.clock import Clock
from plivostatusd.store import asks, entries, pulse
from plivostatusd.store.pulse import Past
from tests.logbook import Logbook
from tests.unit import store_place
from tests.unit.faulty_connection import FaultyConnection
from tests.unit.store_place import START_US, Place, insert_fact, opened, submission, uuid

HOUR_S = 3_600.0


@dataclass
class Machine:
    """A machine with a wall clock that can be set; `start` begins a process with its own clock."""

    wall: store_place.Clock = field(default_factory=store_place.Clock)
    uptime: store_place.Clock = field(default_factory=lambda: store_place.Clock(1_000_000))

    def pass_(self, seconds: float) -> None:
        """Let time pass."""
        self.wall.pass_(seconds)
        self.uptime.pass_(seconds)

    def process(self, place: Place) -> tuple[Pulse, Clock]:
        """Begin a process."""
        clock = Clock(self.wall, self.uptime)
        return Pulse(place.writer, clock, every_s=0.001), clock


async def do(place: Place, job: Any, *arguments: Any) -> Any:
    """Run one of the store's functions in a transaction."""
    return await place.writer.submit(lambda tx: job(tx, *arguments))


def due_in_s(place: Place, clock: Clock) -> dict[str, float]:
    """Say in how many seconds things are due, by the clock of the process that runs."""
    now_us = clock.steady_us()
    (send_us,) = place.rows("SELECT due_at FROM outbox")
    (ask_us,) = place.rows("SELECT due_at FROM asks")
    return {"send": (send_us - now_us) / 1e6, "ask": (ask_us - now_us) / 1e6}


async def wait_for(place: Place, clock: Clock, seconds: float) -> None:
    """Have a send and a question wait for so long."""
    now_us = clock.steady_us()
    await place.accept(submission(now_us=now_us))
    entry = await do(place, entries.claim, now_us, now_us)
    await do(place, entries.postpone, entry.row, now_us + int(seconds * 1e6))
    await place.record(message_uuid=uuid(1), status="sent")
    await do(place, asks.note, entry.row + 1, LAST_WORD_SENT, now_us + int(seconds * 1e6))


@pytest.mark.parametrize("while_running_s", [0.0, 5 * HOUR_S, -5 * HOUR_S, 9_000 * HOUR_S])
async def test_the_clock_is_set_while_it_runs(tmp_path: Path, while_running_s: float) -> None:
    """What waits goes on to wait as long as it was to, over a restart that takes ten seconds."""
    machine = Machine()
    async with opened(tmp_path) as place:
        flow, clock = machine.process(place)
        await flow.begin()
        await wait_for(place, clock, 600)
        machine.wall.pass_(while_running_s)
        machine.pass_(100)
        assert {"send": 500.0, "ask": 500.0} == due_in_s(place, clock)
        await flow.end()
        machine.pass_(10)
        flow, clock = machine.process(place)
        past = await flow.begin()
        assert (10_000_000, True) == (past.away_us, past.was_clean)
        assert {"send": 490.0, "ask": 490.0} == due_in_s(place, clock)


@pytest.mark.parametrize("meanwhile_s", [5 * HOUR_S, -5 * HOUR_S])
async def test_the_clock_is_set_between(tmp_path: Path, meanwhile_s: float) -> None:
    """A clock set while nobody was there makes a wait wrong by that much, and by no more."""
    machine = Machine()
    async with opened(tmp_path) as place:
        flow, clock = machine.process(place)
        await flow.begin()
        await wait_for(place, clock, 600)
        await flow.end()
        machine.wall.pass_(meanwhile_s)
        flow, clock = machine.process(place)
        past = await flow.begin()
        assert max(0, int(meanwhile_s * 1e6)) == past.away_us
        assert {"send": 600 - meanwhile_s, "ask": 600 - meanwhile_s} == due_in_s(place, clock)


async def test_nothing_waits_for_ever(tmp_path: Path) -> None:
    """After a clock that was years ahead, no send and no question waits longer than any may."""
    machine = Machine()
    async with opened(tmp_path) as place:
        machine.wall.pass_(90_000 * HOUR_S)
        flow, clock = machine.process(place)
        await flow.begin()
        await wait_for(place, clock, 600)
        await flow.end()
        machine.wall.pass_(-90_000 * HOUR_S)
        flow, clock = machine.process(place)
        await flow.begin()
        due = due_in_s(place, clock)
        assert (7 * 24 * HOUR_S, 366 * 24 * HOUR_S) == (due["send"], due["ask"])


@pytest.mark.parametrize(("away_s", "is_gap"), [(299.0, False), (300.0, False), (301.0, True)])
async def test_a_gap(tmp_path: Path, away_s: float, is_gap: bool) -> None:
    """A time in which Plivo may have given up calling is remembered, with its ends."""
    machine = Machine()
    async with opened(tmp_path) as place:
        flow, _ = machine.process(place)
        await flow.begin()
        await flow.end()
        left_us = machine.wall()
        machine.pass_(away_s)
        flow, _ = machine.process(place)
        await flow.begin()
        gap = (left_us, machine.wall()) if is_gap else None
        assert gap == await do(place, pulse.gap)


async def test_the_first_start(tmp_path: Path, logbook: Logbook) -> None:
    """The start on a new store finds neither gap nor fault, and says so in one line."""
    machine = Machine()
    async with opened(tmp_path) as place:
        flow, _ = machine.process(place)
        past = await flow.begin()
        assert (None, True) == (past.away_us, past.was_clean)
        assert await do(place, pulse.gap) is None
        (line,) = logbook.events("store_entered")
        assert (None, True) == (line["away_seconds"], line["last_stop_clean"])


async def left(folder: Path, machine: Machine) -> None:
    """Have a process leave waiting things behind, clocks five hours apart, an hour ago."""
    async with opened(folder) as place:
        flow, clock = machine.process(place)
        await flow.begin()
        await wait_for(place, clock, 4_200)
        machine.wall.pass_(5 * HOUR_S)
        await do(place, pulse.beat, clock.wall_us(), clock.steady_us())
    machine.pass_(HOUR_S)


@pytest.mark.expect_log("batch_failed")
@pytest.mark.parametrize(
    "faults", [["with"], ["without"], ["with", "with"], ["without", "with"], ["with", "without"]]
)
async def test_a_start_that_is_not_committed_at_once(tmp_path: Path, faults: list[str]) -> None:
    """Whether a COMMIT that reported an error worked or not, the past is taken account of, once."""
    machine = Machine()
    await left(tmp_path, machine)
    async with opened(tmp_path, connect=FaultyConnection) as place:
        flow, clock = machine.process(place)
        place.connection.faults = list(faults)
        for _ in faults:
            with pytest.raises(StoreUnavailable):
                await flow.begin()
            machine.pass_(0.5)
        past = await flow.begin()
        lag_s = 0.5 * len(faults)
        assert (past.was_clean, past.drift_us) == (False, int(5 * HOUR_S * 1e6))
        assert past.away_us is not None
        assert 0 <= past.away_us / 1e6 - HOUR_S <= lag_s
        assert {"send": 600 - lag_s, "ask": 600 - lag_s} == due_in_s(place, clock)
        gap = await do(place, pulse.gap)
        assert (START_US + int(5 * HOUR_S * 1e6), past.away_us) == (gap[0], gap[1] - gap[0])


async def test_a_bad_neighbour(tmp_path: Path) -> None:
    """A start that is run again because a job beside it was bad takes account of the past."""
    machine = Machine()
    await left(tmp_path, machine)
    async with opened(tmp_path) as place:
        flow, clock = machine.process(place)
        beginning = asyncio.ensure_future(flow.begin())
        await asyncio.sleep(0)  # its job is in the batch, and so will be the next one
        bad = place.writer.submit(lambda tx: insert_fact(tx, "bad", None))
        past = await beginning
        assert await asyncio.wait_for(asyncio.shield(_failed(bad)), 10)
        assert int(HOUR_S * 1e6) == past.away_us
        assert {"send": 600.0, "ask": 600.0} == due_in_s(place, clock)


async def _failed(job: asyncio.Future[Any]) -> bool:
    try:
        await job
    except Exception:  # noqa: BLE001 - whatever it is
        return True
    return False


@pytest.mark.expect_log("batch_failed")
async def test_begun_again_after_success(tmp_path: Path) -> None:
    """A daemon whose start failed further on begins again, and learns the same of the past."""
    machine = Machine()
    await left(tmp_path, machine)
    async with opened(tmp_path, connect=FaultyConnection) as place:
        flow, clock = machine.process(place)
        first: Past = await flow.begin()
        place.connection.faults = ["without"]
        with pytest.raises(StoreUnavailable):
            await place.writer.submit(lambda tx: insert_fact(tx, "x"))
        machine.pass_(1)
        assert first == await flow.begin()
        assert {"send": 599.0, "ask": 599.0} == due_in_s(place, clock)


async def test_it_beats(tmp_path: Path, logbook: Logbook) -> None:
    """It tells the store the time by both clocks, and the log when the wall clock was set."""
    machine = Machine()
    async with opened(tmp_path) as place:
        flow, _ = machine.process(place)
        await flow.begin()
        beating = asyncio.ensure_future(flow.run())
        for step_s in (0.0, 120.0, 0.0, -50.0, 0.4):
            machine.wall.pass_(step_s)
            wanted = f"{machine.wall()} {machine.uptime() + START_US - 1_000_000}"
            while [wanted] != place.rows("SELECT value FROM facts WHERE name = 'heartbeat'"):
                await place.writer.changed()
        beating.cancel()
        await asyncio.wait([beating])
        assert [120.0, -50.0] == [line["seconds"] for line in logbook.events("clock_stepped")]


@pytest.mark.expect_log("batch_failed")
async def test_a_beat_that_fails(tmp_path: Path, logbook: Logbook) -> None:
    """When the store takes no beat, the next one is tried all the same."""
    machine = Machine()
    async with opened(tmp_path, connect=FaultyConnection) as place:
        flow, _ = machine.process(place)
        await flow.begin()
        place.connection.faults = ["without"] * 3
        beating = asyncio.ensure_future(flow.run())
        await place.writer.changed()
        assert [] == place.connection.faults
        beating.cancel()
        await asyncio.wait([beating])
        assert [] == logbook.events("heartbeat_failed")


@pytest.mark.expect_log("heartbeat_failed")
async def test_a_fault_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong in this program with one beat is logged, and it beats on."""
    machine = Machine()
    async with opened(tmp_path) as place:
        flow, _ = machine.process(place)
        await flow.begin()
        with monkeypatch.context() as patch:
            patch.setattr(pulse, "beat", lambda *_: 1 / 0)
            beating = asyncio.ensure_future(flow.run())
            await place.writer.changed()
        machine.pass_(1)
        wanted = f"{machine.wall()} {machine.uptime() + START_US - 1_000_000}"
        while [wanted] != place.rows("SELECT value FROM facts WHERE name = 'heartbeat'"):
            await place.writer.changed()
        beating.cancel()
        await asyncio.wait([beating])
