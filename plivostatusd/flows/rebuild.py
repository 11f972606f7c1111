"""
Folding history again, to see whether every message's row says what its events say, and counting
again, to see whether `stats` is told what there is.

It promises to look only, unless it is told to write; and not to hold up callbacks, since it reads
in a thread of its own, a stretch at a time.
"""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

from plivostatusd.log import get_logger
from plivostatusd.store import figures, folding, rebuilding
from plivostatusd.store.failure import told
from plivostatusd.store.rebuilding import Difference, Stretch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
    from pathlib import Path

    from plivostatusd.store.transaction import Transaction
    from plivostatusd.store.writer import Writer

    Look = Callable[..., Awaitable[Any]]

log = get_logger()


class Rebuild:
    """Compares the store at *path* with itself."""

    def __init__(self, path: Path, writer: Writer, *, now_us: Callable[[], int]) -> None:
        self._path = path
        self._writer = writer
        self._now_us = now_us
        # SQLite keeps a closed connection's descriptor while another one holds a lock.
        self._one_at_a_time = asyncio.Lock()

    async def compare(
        self, ids: Sequence[str], *, writes: bool, by: str
    ) -> AsyncGenerator[Stretch | str, None]:
        """
        Compare the messages named, or all; a bare id comes back for what is not there.

        Raises `StoreUnavailable`.
        """
        async with self._one_at_a_time, aclosing(self._compare(ids, writes, by)) as stretches:
            async for stretch in stretches:
                yield stretch

    async def _compare(
        self,
        ids: Sequence[str],
        writes: bool,  # noqa: FBT001 - said by name above
        by: str,
    ) -> AsyncGenerator[Stretch | str, None]:
        thread = ThreadPoolExecutor(1, thread_name_prefix="rebuild")
        loop = asyncio.get_running_loop()
        try:
            with told(self._path, self._writer.condemn):
                connection = await loop.run_in_executor(thread, rebuilding.connect, self._path)
                try:
                    look = partial(loop.run_in_executor, thread)
                    async for stretch in _stretches(connection, ids, look):
                        if writes and not isinstance(stretch, str):
                            await self._write(stretch.differences, by)
                        yield stretch
                    if not ids:
                        yield await self._compare_figures(connection, look, writes, by)
                finally:
                    thread.submit(connection.close)  # behind whatever it is still asked
        finally:
            thread.shutdown(wait=False)

    async def _compare_figures(
        self,
        connection: sqlite3.Connection,
        look: Look,
        writes: bool,  # noqa: FBT001 - said by name above
        by: str,
    ) -> Stretch:
        """Compare what `stats` reads with a recount, and correct it day by day."""
        days: list[int] = await look(figures.differing_days, connection)
        if writes and days:
            for day in days:
                await self._writer.submit(partial(_recount, day))
            log.warning("figures_recounted", days=len(days), by=by)
        differences = [
            Difference(0, f"day {day}", "figures", "kept", "recounted otherwise") for day in days
        ]
        return Stretch(0, differences, None)

    async def _write(self, differences: Iterable[Difference], by: str) -> None:
        """Make the rows say what their events say."""
        rows = {each.row: each.message_id for each in differences}
        if not rows:
            return
        now_us = self._now_us()
        await self._writer.submit(lambda tx: _fold_again(tx, rows, now_us))
        for message_id in rows.values():
            log.warning("message_rebuilt", message_id=message_id, by=by)


async def _stretches(
    connection: sqlite3.Connection, ids: Sequence[str], look: Look
) -> AsyncGenerator[Stretch | str, None]:
    """Give the messages named, one by one, or all, a stretch at a time."""
    for message_id in ids:
        found = await look(rebuilding.compare_one, connection, message_id)
        yield message_id if found is None else found
    last_row: int | None = None if ids else 0
    while last_row is not None:
        stretch: Stretch = await look(rebuilding.compare, connection, last_row)
        yield stretch
        last_row = stretch.last_row


def _recount(day: int, transaction: Transaction) -> None:
    figures.recount_day(transaction, day)


def _fold_again(transaction: Transaction, rows: Iterable[int], now_us: int) -> None:
    for row in rows:
        message = folding.find_row(transaction, row)
        if message is not None:
            folding.fold_again(transaction, message, now_us)
