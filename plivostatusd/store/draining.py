"""
Out of the spool: what it holds is written into the store, in the order in which it arrived.

Made by `store.keep`, on the event loop. Doing it twice changes nothing, because a repeat is known
by its nonce. A record or a file that cannot be taken holds up no other, and nothing of it is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from plivostatusd.domain.errors import StoreUnavailable
from plivostatusd.log import get_logger
from plivostatusd.store import receipts, spooled
from plivostatusd.store.receipts import Arrival, Recorded
from plivostatusd.store.spool import Section, Spool
from plivostatusd.store.spooling import OnThread
from plivostatusd.store.transaction import Transaction
from plivostatusd.store.writer import Writer, look_at_error

log = get_logger()

RECORDS_PER_ROUND: Final = 200

Drained = Callable[[Arrival, Recorded], None]


class Draining:
    """Writes the spool's records into the store; *drained* hears of each that is there."""

    def __init__(self, writer: Writer, spool: Spool, on_thread: OnThread, drained: Drained) -> None:
        self._writer = writer
        self._spool = spool
        self._on_thread = on_thread
        self._drained = drained
        self._told: set[str] = set()

    async def round(self) -> None:
        """
        Write everything that the spool holds now.

        Raises `StoreUnavailable` when the store does not take it, and `OSError` (the spool).
        """
        await self._writer.submit(_look)
        sections = self._spool.sections()
        while (section := await self._on_thread(lambda: next(sections, None))) is not None:
            for first in range(0, len(section.records), RECORDS_PER_ROUND):
                await self._write(section.records[first : first + RECORDS_PER_ROUND])
            aside = await self._on_thread(partial(self._spool.drained, section))
            if aside is not None:
                _report_torn(section, aside)
        self._report_unreadable()

    async def _write(self, records: Sequence[bytes]) -> None:
        told = [(record, await self._arrival(record)) for record in records]
        arrivals = [(record, arrival) for record, arrival in told if arrival is not None]
        futures = [
            self._writer.submit(partial(receipts.record_spooled, arrival=arrival))
            for _, arrival in arrivals
        ]
        for future in futures:
            future.add_done_callback(look_at_error)
        if futures:
            await asyncio.wait(futures)
        errors = [future.exception() for future in futures]
        for (record, arrival), future, error in zip(arrivals, futures, errors, strict=True):
            if error is None:
                self._drained(arrival, future.result())
            elif not isinstance(error, StoreUnavailable):
                await self._put_aside(record, error)
        for error in errors:
            if isinstance(error, StoreUnavailable):
                raise error

    async def _arrival(self, record: bytes) -> Arrival | None:
        try:
            return spooled.unpack(record)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one holds up no other
            await self._put_aside(record, error)
            return None

    async def _put_aside(self, record: bytes, error: BaseException) -> None:
        """Keep a record that the store cannot take under a name of its own."""
        path = await self._on_thread(partial(self._spool.put_aside, record))
        hint = f"It was answered 200, and is kept: ls -l {path}"
        log.error("spool_record_refused", file=str(path), error=type(error).__name__, hint=hint)

    def _report_unreadable(self) -> None:
        """Name each file that cannot be read once: it is tried again, and nobody waits for it."""
        for name in sorted(self._spool.unreadable - self._told):
            path = self._spool.folder / name
            log.error("spool_unreadable", file=str(path), hint=f"dmesg | tail; cat {path} >copy")
        self._told = set(self._spool.unreadable)


def _look(transaction: Transaction) -> None:
    """Take the write lock and give it back: the store takes writes."""
    transaction.one("SELECT 1")


def _report_torn(section: Section, aside: Path) -> None:
    """Name what a crash has cut: nobody was told that it is kept, and it is kept all the same."""
    log.warning(
        "spool_torn",
        file=str(aside),
        bytes=section.torn_bytes,
        hint="a record that was never acknowledged; look at the file, then remove it",
    )
