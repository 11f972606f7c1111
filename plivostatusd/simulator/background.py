"""Work that goes on after an answer was given: stories and retries."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine


class Background:
    """Keeps tasks alive, knows when all are done, and ends them when told to."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._errors: list[BaseException] = []

    def start(self, work: Coroutine[None, None, None]) -> None:
        """Run *work* beside everything else."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._note_end)

    async def idle(self) -> None:
        """Wait until nothing is left to do; raises the first error that any work met."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        self._raise_first()

    async def stop(self) -> None:
        """Cancel what is left, and wait for it."""
        for task in self._tasks:
            task.cancel()
        await self.idle()

    def _note_end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._errors.append(error)

    def _raise_first(self) -> None:
        if self._errors:
            first, *_ = self._errors
            self._errors.clear()
            raise first
