"""The brake: while Plivo's API fails everybody waits, longer each time, and it is said once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from plivostatusd.flows.reconcile.brake import ACCOUNT_S, FIRST_S, LONGEST_S, TOLD_S_MAX, Brake
from plivostatusd.plivo.outcome import Absent, AccountRefused, Listed, NotSent, Unknown
from tests.logbook import Logbook

FAILED = Unknown("HTTP 500", 500)
GOOD = Absent()


class Time:
    """Stands for the loop's time; moves when told to."""

    def __init__(self) -> None:
        self.s = 1_000.0

    def time(self) -> float:
        """Tell the time."""
        return self.s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Time]:
    """The time that the brake sees."""
    clock = Time()
    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "get_running_loop", lambda: clock)
        yield clock


def wait_s(brake: Brake, clock: Time) -> float:
    """Say how long nothing may be asked."""
    return max(0.0, brake._until_s - clock.s)


def failing(brake: Brake, clock: Time, times: int, outcome: Unknown = FAILED) -> list[float]:
    """Fail again and again, each time once the brake has let go; how long it held each time."""
    waits = []
    for _ in range(times):
        assert not brake.note(outcome)
        waits.append(wait_s(brake, clock))
        clock.s += waits[-1]
        assert not brake.is_on
    return waits


@pytest.mark.expect_log("reconcile_paused")
def test_it_doubles(clock: Time, logbook: Logbook) -> None:
    """The wait doubles from failure to failure, up to ten minutes; one line tells of it."""
    waits = failing(Brake(), clock, 30)
    assert [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 600.0] == waits[:8]
    assert {600.0} == set(waits[8:])
    (line,) = logbook.events("reconcile_paused")
    assert ("HTTP 500", 5.0) == (line["reason"], line["seconds"])
    assert "curl" in line["hint"]


@pytest.mark.expect_log("reconcile_paused")
def test_it_resumes(clock: Time, logbook: Logbook) -> None:
    """The first answer that can be used lets go at once, is said once, and begins anew."""
    brake = Brake()
    failing(brake, clock, 3)
    for outcome in (GOOD, Listed(())):
        assert brake.note(outcome)
    assert 1 == len(logbook.events("reconcile_resumed"))
    assert [FIRST_S] == failing(brake, clock, 1)
    assert 2 == len(logbook.events("reconcile_paused"))


def test_nothing_to_say(clock: Time, logbook: Logbook) -> None:
    """Good answers are not talked about."""
    brake = Brake()
    assert brake.note(GOOD)
    assert not brake.is_on
    assert [] == logbook.lines


@pytest.mark.expect_log("reconcile_paused")
def test_what_was_asked_before(clock: Time, logbook: Logbook) -> None:
    """Questions that were under way when the first one failed count as the same failure."""
    brake = Brake()
    for _ in range(4):
        brake.note(FAILED)
    assert FIRST_S == wait_s(brake, clock)
    assert 1 == len(logbook.events("reconcile_paused"))
    clock.s += FIRST_S
    brake.note(FAILED)
    assert 2 * FIRST_S == wait_s(brake, clock)


@pytest.mark.expect_log("reconcile_paused")
@pytest.mark.parametrize(
    ("outcome", "wanted_s"),
    [
        (AccountRefused(401, "no"), ACCOUNT_S),
        (NotSent("429", retry_after_s=90.0, throttled=True), 90.0),
        (NotSent("429", retry_after_s=1.0, throttled=True), FIRST_S),
        (NotSent("429", retry_after_s=1e9, throttled=True), TOLD_S_MAX),
        (NotSent("refused"), FIRST_S),
        (FAILED, FIRST_S),
    ],
)
def test_how_long(clock: Time, outcome: AccountRefused | NotSent, wanted_s: float) -> None:
    """An account refused waits a minute, a Retry-After is obeyed within bounds, others a little."""
    brake = Brake()
    assert not brake.note(outcome)
    assert wanted_s == wait_s(brake, clock)
    assert LONGEST_S <= TOLD_S_MAX


@pytest.mark.expect_log("reconcile_paused")
async def test_released_by_time() -> None:
    """Whoever waits goes on when the time is over."""
    brake = Brake(first_s=0.02)
    brake.note(FAILED)
    assert brake.is_on
    await brake.released()
    assert not brake.is_on


@pytest.mark.expect_log("reconcile_paused")
async def test_released_by_somebody() -> None:
    """New credentials, or a person who asks, let everybody go on at once who waits already."""
    brake = Brake(first_s=3_600.0)
    brake.note(FAILED)
    waiting = [asyncio.ensure_future(brake.released()) for _ in range(3)]
    done, _ = await asyncio.wait(waiting, timeout=0.02)
    assert set() == done
    brake.release()
    await asyncio.gather(*waiting)
    brake.note(FAILED)
    assert brake.is_on
    later = asyncio.ensure_future(brake.released())
    await asyncio.wait([later], timeout=0.02)
    assert brake.note(GOOD)
    await later
