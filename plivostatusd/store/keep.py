"""
Where a callback is kept: in the store, or in the spool while the store cannot take it.

It promises that a future given by `put` is done with a result only once the arrival is on disk, in
a committed transaction or in an fsynced spool file, and with `StoreUnavailable` within two seconds
when neither holds it. What the spool holds is written into the store, in order, as soon as that
takes writes again; doing so twice changes nothing, because a repeat is known by its nonce.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

from plivostatusd.domain.errors import StoreUnavailable
from plivostatusd.log import get_logger
from plivostatusd.store import receipts, spooled
from plivostatusd.store.receipts import Arrival, Recorded
from plivostatusd.store.spool import Section, Spool
from plivostatusd.store.transaction import Transaction
from plivostatusd.store.writer import Writer

log = get_logger()

RETRY_S: Final = 0.5
APPEND_S_MAX: Final = 0.6
RECORDS_PER_JOB: Final = 200
REPEATS_KNOWN_MAX: Final = 50_000

Drained = Callable[[Arrival, Recorded], None]


class Keep:
    """Puts arrivals where they are safe. Made and used on the event loop."""

    def __init__(self, writer: Writer, spool: Spool, *, drained: Drained) -> None:
        self.is_spooling = False
        self._writer = writer
        self._spool = spool
        self._drained = drained
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._queue: list[tuple[Arrival, asyncio.Future[Recorded]]] = []
        self._spooled: dict[bytes, asyncio.Future[Recorded]] = {}
        self._appending: asyncio.Task[None] | None = None
        self._draining: asyncio.Task[None] | None = None

    @property
    def records(self) -> int:
        """How many callbacks are in the spool alone."""
        return self._spool.records

    def start(self) -> None:
        """Begin to drain what an earlier process left."""
        if self._spool.records:
            self._begin("found at start")

    def put(self, arrival: Arrival) -> asyncio.Future[Recorded]:
        """Keep *arrival*; the future's end is the answer that Plivo may be given."""
        if self.is_spooling:
            before = self._spooled.get(arrival.digest)
            if before is not None and not _has_failed(before):
                return before  # whoever repeats a request must not fill the spool with it
            future: asyncio.Future[Recorded] = asyncio.get_running_loop().create_future()
            self._enqueue(arrival, future)
            return future
        return receipts.put(self._writer, arrival, instead=partial(self._overflow, arrival))

    async def close(self) -> None:
        """Write what waits, and let go of the spool; what it holds is drained by the next start."""
        if self._draining is not None:
            self._draining.cancel()
            await asyncio.wait([self._draining])
        while self._appending is not None:
            await asyncio.wait([self._appending])
        await self._on_thread(self._spool.close)
        self._thread.shutdown()

    # Into the spool

    def _overflow(
        self, arrival: Arrival, future: asyncio.Future[Recorded], error: StoreUnavailable
    ) -> None:
        """The store did not take *arrival* in time: the spool does."""
        self._begin(error.detail)
        self._enqueue(arrival, future)

    def _begin(self, reason: str) -> None:
        if not self.is_spooling:
            self.is_spooling = True
            hint = "Is the store locked (fuser -v), or the disk full (df -h)?"
            log.error("spool_entered", reason=reason, records=self._spool.records, hint=hint)
        if self._draining is None:
            self._draining = asyncio.get_running_loop().create_task(self._drain())

    def _enqueue(self, arrival: Arrival, future: asyncio.Future[Recorded]) -> None:
        if len(self._spooled) >= REPEATS_KNOWN_MAX:
            self._spooled.clear()
        self._spooled[arrival.digest] = future
        self._queue.append((arrival, future))
        if self._appending is None:
            self._appending = asyncio.get_running_loop().create_task(self._append())

    async def _append(self) -> None:
        try:
            while self._queue:
                batch, self._queue = self._queue, []
                payloads = [spooled.pack(arrival) for arrival, _ in batch]
                append = asyncio.ensure_future(
                    self._on_thread(partial(self._spool.append, payloads))
                )
                await asyncio.wait([append], timeout=APPEND_S_MAX)
                if not append.done():
                    self._refuse(batch, "the spool is too slow")
                    await asyncio.wait([append])
                error = append.exception()
                if error is None:
                    _accept(batch)
                else:
                    self._refuse(batch, str(error))
        finally:
            self._appending = None

    def _refuse(
        self, batch: Sequence[tuple[Arrival, asyncio.Future[Recorded]]], reason: str
    ) -> None:
        for _, future in batch:
            if not future.done():
                future.set_exception(StoreUnavailable(f"neither store nor spool: {reason}"))

    async def _on_thread(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # Out of the spool

    async def _drain(self) -> None:
        """Try the store twice a second, until it has taken everything that the spool holds."""
        try:
            while True:
                await asyncio.sleep(RETRY_S)
                try:
                    await self._drain_sections()
                except StoreUnavailable:
                    continue
                except Exception:
                    log.exception("spool_unreadable", hint=f"ls -l {self._spool.folder}")
                    continue
                if not self._queue and self._appending is None and not self._spool.records:
                    break
            self.is_spooling = False
            self._spooled.clear()
            log.info("spool_drained")
        finally:
            self._draining = None

    async def _drain_sections(self) -> None:
        await self._writer.submit(_look)
        sections = self._spool.sections()
        while (section := await self._on_thread(lambda: next(sections, None))) is not None:
            for first in range(0, len(section.records), RECORDS_PER_JOB):
                await self._drain_records(section.records[first : first + RECORDS_PER_JOB])
            aside = await self._on_thread(partial(self._spool.drained, section))
            if aside is not None:
                _report_torn(section, aside)

    async def _drain_records(self, records: Sequence[bytes]) -> None:
        """Write *records* into the store; one that cannot be is put aside and holds up none."""
        told = [(record, await self._arrival(record)) for record in records]
        arrivals = [(record, arrival) for record, arrival in told if arrival is not None]
        futures = [
            self._writer.submit(partial(receipts.record_spooled, arrival=arrival))
            for _, arrival in arrivals
        ]
        if futures:
            await asyncio.wait(futures)
        for (record, arrival), future in zip(arrivals, futures, strict=True):
            error = future.exception()
            if isinstance(error, StoreUnavailable):
                raise error
            if error is not None:
                await self._put_aside(record, error)
            else:
                self._drained(arrival, future.result())

    async def _arrival(self, record: bytes) -> Arrival | None:
        try:
            return spooled.unpack(record)
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            await self._put_aside(record, error)
            return None

    async def _put_aside(self, record: bytes, error: BaseException) -> None:
        """Keep a record that the store cannot take under a name of its own."""
        name = f"{hashlib.blake2b(record, digest_size=8).hexdigest()}.bad"
        path = self._spool.folder / name
        await self._on_thread(partial(path.write_bytes, record))
        log.error("spool_record_refused", file=str(path), error=type(error).__name__)


def _has_failed(future: asyncio.Future[Recorded]) -> bool:
    return future.done() and (future.cancelled() or future.exception() is not None)


def _look(transaction: Transaction) -> None:
    """Take the write lock and give it back: the store takes writes."""
    transaction.one("SELECT 1")


def _accept(batch: Sequence[tuple[Arrival, asyncio.Future[Recorded]]]) -> None:
    for _, future in batch:
        if not future.done():
            future.set_result(receipts.SPOOLED)


def _report_torn(section: Section, aside: Path) -> None:
    """Name what a crash has cut: nobody was told that it is kept, and it is kept all the same."""
    log.warning(
        "spool_torn",
        file=str(aside),
        bytes=section.torn_bytes,
        hint="a record that was never acknowledged; look at the file, then remove it",
    )
