"""The pace of API calls: one at a time is let through, evenly, and never in a burst."""

from __future__ import annotations

import asyncio
from contextlib import suppress


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

    async def wait(self) -> None:
        """Return when the next call may be made; whoever makes it says so with `spend`."""
        loop = asyncio.get_running_loop()
        while (left_s := self.next_s - loop.time()) > 0:
            self._has_changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._has_changed.wait()

    def spend(self) -> None:
        """Count one call: the next one waits its turn."""
        self._last_s = max(self.next_s, asyncio.get_running_loop().time())

    def hold_back(self, seconds: float) -> None:
        """Let nothing through for *seconds*: Plivo asked for it."""
        now_s = asyncio.get_running_loop().time()
        self._held_until_s = max(self._held_until_s, now_s + seconds)
