"""
Counting for people: how many messages ended how, and how long deliveries took.

It promises not to hold up whoever else reads: it counts on a connection and in a thread of its own,
and stops when nobody waits for the answer any more.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from plivostatusd.store import figures, rebuilding
from plivostatusd.store.failure import told

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from plivostatusd.domain.errors import StoreDamaged
    from plivostatusd.store.figures import Figure, Wanted


class Stats:
    """Counts what is in the store at *path*; damage that it meets is told to *condemn*."""

    def __init__(self, path: Path, *, condemn: Callable[[StoreDamaged], None]) -> None:
        self._path = path
        self._condemn = condemn
        # SQLite keeps a closed connection's descriptor while another one holds a lock.
        self._one_at_a_time = asyncio.Lock()

    async def count(self, wanted: Wanted) -> list[Figure]:
        """Count what is *wanted*. Raises `StoreUnavailable`."""
        async with self._one_at_a_time:
            thread = ThreadPoolExecutor(1, thread_name_prefix="stats")
            try:
                with told(self._path, self._condemn):
                    return await self._count(thread, wanted)
            finally:
                thread.shutdown(wait=False)

    async def _count(self, thread: ThreadPoolExecutor, wanted: Wanted) -> list[Figure]:
        loop = asyncio.get_running_loop()
        connection = await loop.run_in_executor(thread, rebuilding.connect, self._path)
        try:
            return await loop.run_in_executor(thread, figures.count, connection, wanted)
        finally:
            connection.interrupt()  # whoever waited is gone, or all is read
            thread.submit(connection.close)
