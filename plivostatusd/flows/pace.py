"""The pace of API calls: one at a time is let through, evenly, and never in a burst."""

from __future__ import annotations

import asyncio


class Pace:
    """Lets `per_second` calls through. Times are the event loop's monotonic seconds."""

    def __init__(self, per_second: float) -> None:
        self.per_second = per_second
        self.next_s = 0.0

    async def wait(self) -> None:
        """Return when the next call may be made; whoever makes it says so with `spend`."""
        loop = asyncio.get_running_loop()
        while (left_s := self.next_s - loop.time()) > 0:  # noqa: ASYNC110 - it may move on meanwhile
            await asyncio.sleep(left_s)

    def spend(self) -> None:
        """Count one call: the next one waits its turn."""
        now_s = asyncio.get_running_loop().time()
        self.next_s = max(self.next_s, now_s) + 1.0 / self.per_second

    def hold_back(self, seconds: float) -> None:
        """Let nothing through for *seconds*: Plivo asked for it."""
        now_s = asyncio.get_running_loop().time()
        self.next_s = max(self.next_s, now_s + seconds)
