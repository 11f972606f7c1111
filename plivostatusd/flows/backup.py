"""
Backups: one copy of the store at a time, made in a thread of its own while everything goes on.

It promises that whoever asked and went away leaves nothing behind: a copy that nobody takes is
closed, and as it has no name, gone.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from plivostatusd.domain.errors import StoreDamaged, StoreUnavailable
from plivostatusd.log import get_logger
from plivostatusd.store import backup
from plivostatusd.store.failure import told

if TYPE_CHECKING:
    from pathlib import Path

    from plivostatusd.store.backup import Copy
    from plivostatusd.store.writer import Writer

log = get_logger()


class Backup:
    """Copies the store at *path*. Made and used on the event loop."""

    def __init__(self, path: Path, writer: Writer) -> None:
        self._path = path
        self._writer = writer
        self._one_at_a_time = asyncio.Lock()
        self._running: set[asyncio.Task[Copy]] = set()

    async def take(self, *, by: str) -> Copy:
        """
        Make a copy, once those before it are made; whoever asked closes its file.

        Raises `NoRoom` and `StoreUnavailable`.
        """
        task = asyncio.create_task(self._take(by))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_close)
            raise

    async def _take(self, by: str) -> Copy:
        thread = ThreadPoolExecutor(1, thread_name_prefix="backup")
        loop = asyncio.get_running_loop()
        async with self._one_at_a_time:
            began_s = time.monotonic()
            try:
                with told(self._path, self._writer.condemn):
                    copy = await loop.run_in_executor(thread, backup.take, self._path)
            except StoreDamaged as error:
                self._writer.condemn(error)
                raise
            except OSError as error:
                hint = f"df -h {self._path.parent}; ls -ld {self._path.parent}"
                raise StoreUnavailable(
                    f"No copy can be made: {error.strerror}", hint=hint
                ) from error
            finally:
                thread.shutdown(wait=False)
        seconds = round(time.monotonic() - began_s, 3)
        log.info("backup_taken", by=by, bytes=copy.size, seconds=seconds)
        return copy


def _close(task: asyncio.Task[Copy]) -> None:
    """Let go of a copy that nobody waits for any more."""
    if not task.cancelled() and task.exception() is None:
        task.result().file.close()
