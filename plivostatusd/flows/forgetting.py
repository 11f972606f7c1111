"""
Forgetting a person, and proving that it is done: blanking, then reading the store's files for it.

It promises that no callback waits for it longer than for any other commit, but while an index is
built anew (a second for a million messages; what arrives goes to the spool then).
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from plivostatusd.domain.errors import Refusal
from plivostatusd.log import get_logger
from plivostatusd.store import forgetting, rebuilding, rolls
from plivostatusd.store.failure import told
from plivostatusd.store.forgetting import Blanked, Found, Number

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
    from pathlib import Path

    from plivostatusd.store.forgetting import Place
    from plivostatusd.store.keep import Keep
    from plivostatusd.store.transaction import Transaction
    from plivostatusd.store.writer import Writer

    Look = Callable[..., Awaitable[Any]]
    Find = Callable[[sqlite3.Connection, Number, int], Found]

log = get_logger()

BUSY_S: Final = 0.2
BUSY_TIMES: Final = 100
TRUNCATE_TIMES: Final = 10
_CHUNK_BYTES: Final = 1 << 20
_OVERLAP_BYTES: Final = 64


class SpoolInUse(Refusal):
    """Callbacks lie in the spool, and one of them may bear the number."""

    http_status = 409
    slug = "spool-in-use"
    title = "Callbacks wait in the spool; nothing was forgotten"
    hint = "Type it again once the log says spool_drained"


class Forgetting:
    """Forgets numbers in the store at *path*, its log and its spool; one at a time."""

    def __init__(
        self, path: Path, writer: Writer, keep: Keep, *, now_us: Callable[[], int]
    ) -> None:
        self._path = path
        self._writer = writer
        self._keep = keep
        self._now_us = now_us
        self._one_at_a_time = asyncio.Lock()
        self._store: int | None = None  # never closed: that would end SQLite's locks on the file

    async def forget(self, number: str, *, by: str) -> AsyncGenerator[dict[str, Any], None]:
        """
        Forget *number* (E.164); how far it got comes on the way, what was done at the end.

        Raises `SpoolInUse` and `StoreUnavailable`.
        """
        async with self._one_at_a_time:
            if self._keep.is_spooling:
                raise SpoolInUse
            thread = ThreadPoolExecutor(1, thread_name_prefix="forgetting")
            look = partial(asyncio.get_running_loop().run_in_executor, thread)
            try:
                counts: Counter[str] = Counter()
                with told(self._path, self._writer.condemn):
                    async for progress in self._forget(Number(number), by, look, counts):
                        yield progress
                    remains = await self._clean(Number(number), look)
            finally:
                thread.shutdown(wait=False)
        log.info("number_forgotten", by=by, **counts, remains=len(remains))
        yield {
            "done": True,
            **{name: counts[name] for name in ("messages", "events", "refused", "cancelled")},
            "open": counts["open"],
            "remains_in": remains,
            "not_touched": [each.name for each in self._copies()],
        }

    async def _forget(
        self, number: Number, by: str, look: Look, counts: Counter[str]
    ) -> AsyncGenerator[dict[str, Any], None]:
        await rolls.write_out_rest(self._writer)
        connection = await look(rebuilding.connect, self._path)
        try:
            for what, find in (
                ("messages", forgetting.find_messages),
                ("events", forgetting.find_events),
            ):
                after: int | None = 0
                while after is not None:
                    found: Found = await look(find, connection, number, after)
                    await self._blank(number, found, by, counts)
                    after = found.last_row
                    if after is not None:
                        yield {"looked_at": after, "of": what}
        finally:
            connection.interrupt()
            await look(connection.close)
        rest: int = await self._writer.submit(lambda tx: forgetting.forget_rest(tx, number))
        counts["refused"] += rest

    async def _blank(self, number: Number, found: Found, by: str, counts: Counter[str]) -> None:
        places = found.messages
        for _ in range(BUSY_TIMES):
            busy: list[Place] = []
            for step in _steps(places):
                job = partial(_blank_messages, number, step, self._now_us(), by)
                blanked: Blanked = await self._writer.submit(job)
                counts["messages"] += blanked.messages
                counts["events"] += blanked.events
                counts["cancelled"] += blanked.cancelled
                counts["open"] += blanked.still_open
                busy += blanked.busy
            if not busy:
                break
            places = busy
            await asyncio.sleep(BUSY_S)  # Plivo is being called for them
        else:
            counts["busy"] += len(places)
        for rows in _steps(found.events):
            counts["events"] += await self._writer.submit(partial(_blank_events, rows))

    async def _clean(self, number: Number, look: Look) -> list[str]:
        """Empty the log, build indexes anew where need be, and name the files that bear it yet."""
        await self._empty_log()
        remains: list[str] = await look(self.find_in_files, number)
        if self._path.name not in remains:
            return remains
        for name in forgetting.INDEXES:
            await self._writer.submit(partial(_rebuild_index, name))
        await self._empty_log()
        return list(await look(self.find_in_files, number))

    async def _empty_log(self) -> None:
        for _ in range(TRUNCATE_TIMES):
            if await self._writer.empty_log():
                return
            await asyncio.sleep(BUSY_S)

    # On the thread

    def find_in_files(self, number: Number) -> list[str]:
        """Name each file of the store, its log and its spool in which *number* stands. Blocks."""
        if self._store is None:
            self._store = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        found = [self._path.name] if _is_in(self._store, number) else []
        others = [self._path.with_name(f"{self._path.name}-wal")]
        others += sorted((self._path.parent / "spool").glob("*"))
        for path in others:
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            except OSError:
                continue  # drained and gone
            try:
                if _is_in(descriptor, number):
                    found.append(str(path.relative_to(self._path.parent)))
            finally:
                os.close(descriptor)
        return found

    def _copies(self) -> list[Path]:
        """Name the copies of the store that lie beside it."""
        beside = self._path.parent.glob(f"{self._path.name}.*")
        return sorted(path for path in beside if path.is_file())


def _is_in(descriptor: int, number: Number) -> bool:
    """Read a file whole, a chunk at a time, each with the end of the one before."""
    at, tail = 0, b""
    while chunk := os.pread(descriptor, _CHUNK_BYTES, at):
        if number.is_in_page(tail + chunk):
            return True
        at += len(chunk)
        tail = chunk[-_OVERLAP_BYTES:]
    return False


def _steps(rows: Sequence[Any]) -> list[Sequence[Any]]:
    step = forgetting.ROWS_PER_STEP
    return [rows[at : at + step] for at in range(0, len(rows), step)]


def _blank_messages(
    number: Number, places: Sequence[Place], now_us: int, by: str, transaction: Transaction
) -> Blanked:
    return forgetting.blank_messages(transaction, number, places, now_us, by)


def _blank_events(rows: Sequence[int], transaction: Transaction) -> int:
    return forgetting.blank_events(transaction, rows)


def _rebuild_index(name: str, transaction: Transaction) -> None:
    forgetting.rebuild_index(transaction, name)
