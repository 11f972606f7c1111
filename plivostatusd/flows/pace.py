"""
The pace of API calls: one at a time is let through, evenly, and never in a burst.

A turn that comes a little late, as timers and busy machines have it, does not put off those behind
it: else every call would add its own lateness, and the pace that is configured never be reached.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

LATE_S_MAX: Final = 0.1
"""More than this, or than one turn, is not made up for."""


class Pace:
    """
    Lets `per_second` calls through. Times are the event loop's monotonic seconds.

    Another pace holds from the last call on: whoever waits at the old one waits no longer for it.
    """

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._last_s = float("-inf")  # the turn of the last call
        self._held_until_s = 0.0
        self._has_changed = asyncio.Event()

    @property
    def per_second(self) -> float:
        """How many are let through; it may be set."""
        return self._per_second

    @per_second.setter
    def per_second(self, per_second: float) -> None:
        self._per_second = per_second
        self._has_changed.set()

    @property
    def next_s(self) -> float:
        """When the next call may be made."""
        return max(self._last_s + 1.0 / self._per_second, self._held_until_s)

    async def wait(self) -> float:
        """Return when the next call may be made, and that instant: whoever makes it `spend`s it."""
        loop = asyncio.get_running_loop()
        while (left_s := self.next_s - loop.time()) > 0:
            self._has_changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._has_changed.wait()
        return loop.time()

    def spend(self, turn_s: float) -> None:
        """Count one call, that was let through at *turn_s*: the next one waits its turn."""
        late_s = turn_s - self.next_s
        is_made_up_for = late_s <= min(LATE_S_MAX, 1.0 / self._per_second)
        self._last_s = self.next_s if is_made_up_for else turn_s

    def hold_back(self, seconds: float) -> None:
        """Let nothing through for *seconds*: Plivo asked for it."""
        now_s = asyncio.get_running_loop().time()
        self._held_until_s = max(self._held_until_s, now_s + seconds)
