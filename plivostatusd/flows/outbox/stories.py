"""Tasks that must have ended before the store is closed, because they write to it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine


class Stories:
    """Keeps hold of its tasks until they end."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, story: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run *story* beside the others, as the task that is given."""
        task = asyncio.get_running_loop().create_task(story)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    @property
    def running(self) -> frozenset[asyncio.Task[None]]:
        """Those that have not ended yet."""
        return frozenset(self._tasks)

    async def end(self, *, within_s: float) -> bool:
        """Wait for all of them; False when some still run after *within_s*."""
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + within_s
        while self._tasks and (left_s := ends_s - loop.time()) > 0:
            await asyncio.wait(self.running, timeout=left_s)
        return not self._tasks

    async def cut(self) -> None:
        """Cancel all that still run, and see them end."""
        for task in self.running:
            task.cancel()
        while self._tasks:
            await asyncio.wait(self.running)
