"""
Two clocks: the wall's, for what is written down, and a steady one, for what is waited for.

Both are microseconds since the Unix epoch. The steady clock agrees with the wall when it is made,
and from then on goes as the machine does: nobody sets it, and it goes on while a virtual machine is
suspended. What is due, or expires, by the steady clock does so in time whatever is done to the
other one. It is an instant of this process alone; `drift_us` is how far the two have come apart.
"""

from __future__ import annotations

import time
from collections.abc import Callable


def wall_us() -> int:
    """Read the wall clock."""
    return time.time_ns() // 1000


def uptime_us() -> int:
    """Read the time since the machine was started, suspension included (clock_gettime(2))."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


class Clock:
    """The two clocks of one process."""

    def __init__(
        self, wall_us: Callable[[], int] = wall_us, uptime_us: Callable[[], int] = uptime_us
    ) -> None:
        self.wall_us = wall_us
        self._uptime_us = uptime_us
        self._offset_us = wall_us() - uptime_us()

    def steady_us(self) -> int:
        """Read the steady clock."""
        return self._uptime_us() + self._offset_us

    def careful_us(self) -> int:
        """Give the earlier of both: nothing must be deleted for its age because a clock leapt."""
        return min(self.wall_us(), self.steady_us())
