"""How many requests are being read or answered, and when there are none."""

from __future__ import annotations

import asyncio
from typing import Final

_PASSES: Final = 5
"""Rounds of the loop from bytes that have arrived to a request that is counted; two more."""


class InFlight:
    """A count that can be waited for to reach nothing."""

    def __init__(self) -> None:
        self.count = 0
        self._empty: asyncio.Event | None = None

    def enter(self) -> None:
        """Count one more."""
        self.count += 1

    def leave(self) -> None:
        """Count one fewer."""
        self.count -= 1
        if self.count == 0 and self._empty is not None:
            self._empty.set()

    async def empty(self, *, within_s: float) -> bool:
        """Return once nothing is in flight; False when *within_s* passed first."""
        try:
            async with asyncio.timeout(within_s):
                await self._read_what_came()
                while self.count:
                    self._empty = asyncio.Event()
                    await self._empty.wait()
                    await self._read_what_came()
        except TimeoutError:
            return False
        return True

    async def _read_what_came(self) -> None:
        """A request that the kernel has, but that was not read yet, is in flight, too."""
        for _ in range(_PASSES):
            await asyncio.sleep(0)
