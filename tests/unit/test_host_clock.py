"""Two clocks: one that people set, and one that nobody does."""

from __future__ import annotations

import time

import pytest

from plivostatusd.host import clock
from plivostatusd.host.clock import Clock

HOUR_US = 3_600_000_000


class Hands:
    """A clock that is set by hand."""

    def __init__(self, us: int) -> None:
        self.us = us

    def __call__(self) -> int:
        """Tell the time."""
        return self.us


@pytest.fixture
def wall() -> Hands:
    """The wall clock."""
    return Hands(1_790_000_000_000_000)


@pytest.fixture
def uptime() -> Hands:
    """The time since the machine was started."""
    return Hands(77_000_000)


def test_they_agree_at_first(wall: Hands, uptime: Hands) -> None:
    """When it is made, the steady clock tells the wall clock's time."""
    both = Clock(wall, uptime)
    assert wall.us == both.wall_us() == both.steady_us() == both.careful_us()


@pytest.mark.parametrize("step_us", [HOUR_US, -HOUR_US, 365 * 24 * HOUR_US])
def test_the_wall_clock_is_set(wall: Hands, uptime: Hands, step_us: int) -> None:
    """The steady clock goes on as the machine does; the careful one is never ahead of either."""
    both = Clock(wall, uptime)
    began_us = both.steady_us()
    wall.us += step_us + 5
    uptime.us += 5
    assert began_us + 5 == both.steady_us()
    assert began_us + 5 + step_us == both.wall_us()
    assert min(both.wall_us(), both.steady_us()) == both.careful_us()


def test_the_machines_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both read whole microseconds; the steady one by a clock that goes on during a suspension."""
    assert abs(time.time() * 1e6 - clock.wall_us()) < 60e6
    with monkeypatch.context() as patch:
        patch.setattr(time, "clock_gettime_ns", {time.CLOCK_BOOTTIME: 1_999}.__getitem__)
        assert 1 == clock.uptime_us()
    both = Clock()
    assert abs(both.wall_us() - both.steady_us()) < 60e6
