"""
Into the spool: arrivals that the store does not take, each answered within its own time.

Made by `store.keep`, on the event loop. It promises that a pledge is told a result only once
its arrival is on disk, and with `StoreUnavailable` at its deadline, however long the disk hangs.
Arrivals that wait at the same moment share one fdatasync.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from plivostatusd.domain.errors import StoreUnavailable
from plivostatusd.log import together
from plivostatusd.store import receipts, spooled
from plivostatusd.store.pledge import Pledge
from plivostatusd.store.receipts import Arrival, Recorded
from plivostatusd.store.spool import Spool

OnThread = Callable[[Callable[[], Any]], Awaitable[Any]]

_LOOK_S: Final = 0.05


@dataclass(slots=True)
class _Waiting:
    arrival: Arrival
    pledge: Pledge[Recorded]
    deadline_s: float

    def refuse(self, reason: str) -> None:
        if not self.pledge.done():
            self.pledge.set_exception(StoreUnavailable(f"neither store nor spool: {reason}"))

    def accept(self) -> None:
        if not self.pledge.done():
            self.pledge.set_result(receipts.SPOOLED)


class Spooling:
    """Appends arrivals. *on_thread* runs a call on the one thread that the spool is used on."""

    def __init__(self, spool: Spool, on_thread: OnThread) -> None:
        self._spool = spool
        self._on_thread = on_thread
        self._queue: list[_Waiting] = []
        self._running: asyncio.Task[None] | None = None
        self._is_closed = False

    def add(self, arrival: Arrival, pledge: Pledge[Recorded], *, deadline_s: float) -> None:
        """Keep *arrival*, and see that *pledge* is told by *deadline_s* of the loop's time."""
        waiting = _Waiting(arrival, pledge, deadline_s)
        if self._is_closed:
            waiting.refuse("the daemon is stopping")
            return
        self._queue.append(waiting)
        if self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._run())

    async def idle(self) -> None:
        """Return once nothing is on its way into the spool."""
        while self._running is not None:
            await asyncio.wait([self._running])

    async def close(self) -> None:
        """Keep what waits, and take no more."""
        self._is_closed = True
        await self.idle()

    async def _run(self) -> None:
        try:
            while self._queue:
                batch, self._queue = self._queue, []
                # Whoever was refused meanwhile calls again: writing it would keep others waiting.
                batch = [each for each in batch if not each.pledge.done()]
                if batch:
                    await self._append(batch)
        finally:
            self._running = None

    async def _append(self, batch: list[_Waiting]) -> None:
        loop = asyncio.get_running_loop()
        payloads = [spooled.pack(each.arrival) for each in batch]
        append = asyncio.ensure_future(self._on_thread(partial(self._spool.append, payloads)))
        while not append.done():
            await asyncio.wait([append], timeout=_LOOK_S)
            for each in (*batch, *self._queue):
                if not append.done() and each.deadline_s <= loop.time():
                    each.refuse("the spool is too slow")
        error = append.exception()
        with together():
            for each in batch:
                if error is None:
                    each.accept()
                else:
                    each.refuse(str(error))
