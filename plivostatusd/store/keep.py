"""
Where a callback is kept: in the store, or in the spool while the store cannot take it.

It promises that a pledge given by `put` is told a result only once the arrival is on disk, in
a committed transaction or in an fsynced spool file, and with `StoreUnavailable` within two seconds
when neither holds it. While anything is in the spool everything goes there, so that replay rules
are judged in the order of arrival; for the last records the door is shut for a moment, and what
arrives meanwhile waits for the store. Else steady load would keep the spool in use for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple

from plivostatusd.domain.errors import StoreUnavailable
from plivostatusd.domain.worker import Worker
from plivostatusd.log import get_logger
from plivostatusd.store import receipts
from plivostatusd.store.draining import Drained, Draining
from plivostatusd.store.pledge import Pledge
from plivostatusd.store.receipts import Arrival, Recorded
from plivostatusd.store.spool import Spool
from plivostatusd.store.spooling import Spooling
from plivostatusd.store.writer import Writer

log = get_logger()

RETRY_S: Final = 0.5
UNREADABLE_RETRY_S: Final = 60.0
ANSWER_S_MAX: Final = 1.8
SPOOL_S_MIN: Final = 0.4
"""The spool gets this long even for an arrival that the store has kept waiting."""
SHUT_S_MAX: Final = 0.4
RECORDS_TO_SHUT: Final = 400
REPEATS_KNOWN_MAX: Final = 50_000
LATE_S_MAX: Final = 30.0


class _Held(NamedTuple):
    """An arrival that waits before the shut door."""

    arrival: Arrival
    pledge: Pledge[Recorded]
    since_s: float


class Keep:
    """Puts arrivals where they are safe. Made and used on the event loop."""

    def __init__(self, writer: Writer, spool: Spool, *, drained: Drained) -> None:
        self.is_spooling = False
        self._writer = writer
        self._spool = spool
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._spooling = Spooling(spool, self._on_thread)
        self._draining = Draining(writer, spool, self._on_thread, drained)
        self._held: list[_Held] | None = None  # a list while the door is shut
        self._known: dict[tuple[object, ...], Pledge[Recorded]] = {}
        self._task: asyncio.Task[None] | None = None
        self._entered = asyncio.Event()
        self.worker = Worker("spool")

    @property
    def records(self) -> int:
        """How many callbacks are in the spool alone."""
        return self._spool.records

    def start(self) -> None:
        """Begin to drain what an earlier process left."""
        if self._spool.records:
            self._begin("found at start", "It is drained as soon as the store takes it")

    def put(self, arrival: Arrival) -> Pledge[Recorded]:
        """Keep *arrival*; what the pledge is told is the answer that Plivo may be given."""
        loop = asyncio.get_running_loop()
        if not self.is_spooling:
            return self._store(arrival, loop.time())
        pledge: Pledge[Recorded] = Pledge()
        self._spool_once(_Held(arrival, pledge, loop.time()))
        return pledge

    async def close(self) -> None:
        """Write what waits, and let go of the spool; what it holds is drained by the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._open_door(to_store=False)
        await self._spooling.close()
        await self._on_thread(self._spool.close)
        self._thread.shutdown()

    async def _on_thread(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # Into the store, or else the spool

    def _store(self, arrival: Arrival, since_s: float) -> Pledge[Recorded]:
        return receipts.put(
            self._writer,
            arrival,
            since_s=since_s,
            instead=lambda pledge, error: self._overflow(_Held(arrival, pledge, since_s), error),
        )

    def _overflow(self, held: _Held, error: StoreUnavailable) -> None:
        """The store did not take it in time: the spool does."""
        self._begin(error.detail, error.hint)
        self._spool_once(held)

    def _spool_once(self, held: _Held) -> None:
        """Put it into the spool; whoever repeats a request must not fill the spool with it."""
        arrival = held.arrival
        key = (arrival.digest, arrival.nonces, arrival.trust)
        first = self._known.get(key)
        if first is not None and not _has_failed(first):
            first.add_done_callback(partial(_pass_on_as_repeat, held.pledge))
            return
        if len(self._known) >= REPEATS_KNOWN_MAX:
            self._known.clear()
        self._known[key] = held.pledge
        if self._held is not None:
            self._held.append(held)
        else:
            self._append(held)

    def _append(self, held: _Held) -> None:
        now_s = asyncio.get_running_loop().time()
        deadline_s = max(held.since_s + ANSWER_S_MAX, now_s + SPOOL_S_MIN)
        self._spooling.add(held.arrival, held.pledge, deadline_s=deadline_s)

    # Out of the spool

    def _begin(self, reason: str, hint: str) -> None:
        if not self.is_spooling:
            self.is_spooling = True
            self._entered.set()
            log.error("spool_entered", reason=reason, records=self._spool.records, hint=hint)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        """Try the store twice a second until it has taken everything that can be read."""
        told = ""
        try:
            while self.is_spooling or self._spool.unreadable:
                await self._rest_between()
                self.worker.waits_for("store and spool")
                try:
                    await self._draining.round()
                    told = ""
                    if self.is_spooling and self._spool.readable_records <= RECORDS_TO_SHUT:
                        await self._finish()
                except StoreUnavailable:
                    continue
                except Exception as error:
                    if repr(error) != told:  # once, for it is tried twice a second
                        log.exception("spool_drain_failed", hint=f"ls -l {self._spool.folder}")
                    told = repr(error)
        finally:
            self.worker.waits_for("something to drain")
            self._task = None

    async def _rest_between(self) -> None:
        """Wait for the next round: long, if all there is to do is to look at unreadable files."""
        if not self.is_spooling:
            self.worker.waits_for("the next time")
            self._entered.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(UNREADABLE_RETRY_S):
                    await self._entered.wait()
        if self.is_spooling:
            now_s = asyncio.get_running_loop().time()
            self.worker.is_back_by(now_s + RETRY_S + LATE_S_MAX, "its pause")
            await asyncio.sleep(RETRY_S)

    async def _finish(self) -> None:
        """Shut the door, drain the rest, and open it to the store; to the spool if that fails."""
        self._held = []
        rest = asyncio.ensure_future(self._rest())
        try:
            await asyncio.wait([rest], timeout=SHUT_S_MAX)
            if not rest.done() or rest.exception() is not None or self._spool.readable_records:
                self._open_door(to_store=False)
                await rest
                return
        finally:
            rest.cancel()
        self.is_spooling = False
        self._known.clear()
        self._open_door(to_store=True)
        log.info("spool_drained", records=self._spool.records)

    async def _rest(self) -> None:
        await self._spooling.idle()
        await self._draining.round()

    def _open_door(self, *, to_store: bool) -> None:
        held, self._held = self._held or [], None
        for each in held:
            if to_store:
                kept = self._store(each.arrival, each.since_s)
                kept.add_done_callback(partial(_pass_on, each.pledge))
            else:
                self._append(each)


def _has_failed(pledge: Pledge[Recorded]) -> bool:
    return pledge.done() and pledge.exception() is not None


def _pass_on(to: Pledge[Recorded], told: Pledge[Recorded]) -> None:
    """Tell *to* what *told* was."""
    error = told.exception()
    if to.done():
        return
    if error is None:
        to.set_result(told.result())
    else:
        to.set_exception(error)


def _pass_on_as_repeat(to: Pledge[Recorded], told: Pledge[Recorded]) -> None:
    """Tell *to*, which asked for the same, what *told* was: no event of its own."""
    if _has_failed(told):
        _pass_on(to, told)
    elif not to.done():
        to.set_result(replace(told.result(), cursor=None, remarks=()))
