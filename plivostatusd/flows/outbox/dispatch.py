"""Claiming what is due, one entry at a time and at the pace, and starting its call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from plivostatusd.domain.errors import StoreUnavailable, Undecided
from plivostatusd.flows.outbox.ledger import STORE_RETRY_S
from plivostatusd.log import get_logger
from plivostatusd.store import entries
from plivostatusd.store.entries import Entry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from plivostatusd.flows.outbox.gate import Gate
    from plivostatusd.flows.outbox.ledger import Ledger
    from plivostatusd.flows.outbox.stories import Stories
    from plivostatusd.flows.pace import Pace
    from plivostatusd.store.transaction import Transaction
    from plivostatusd.store.writer import Writer

    Claiming = asyncio.Future[Entry | int | None]

log = get_logger()

FAULT_RETRY_S: Final = 60.0


class Dispatch:
    """
    Runs *call* for each entry that is due, *concurrency* of them at once.

    *call* gives the seconds after which its entry is due again, or None.
    """

    def __init__(  # noqa: PLR0913 - it is composed of these, once, by the outbox
        self,
        writer: Writer,
        *,
        ledger: Ledger,
        gate: Gate,
        pace: Pace,
        stories: Stories,
        call: Callable[[Entry], Awaitable[float | None]],
        concurrency: int,
        now_us: Callable[[], int],
        steady_us: Callable[[], int],
    ) -> None:
        self._writer = writer
        self._ledger = ledger
        self._gate = gate
        self._pace = pace
        self._stories = stories
        self._call = call
        self._now_us = now_us
        self._steady_us = steady_us
        self._slots = asyncio.Semaphore(concurrency)
        self._due = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Look for what is due, until `end`."""
        self._due.set()
        self._task = asyncio.get_running_loop().create_task(self._run())

    def look(self) -> None:
        """Something may be due."""
        self._due.set()

    async def end(self) -> None:
        """Claim nothing more; what was claimed a moment ago is on its way or given back."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            await self._due.wait()
            await self._slots.acquire()
            entry = None
            try:
                turn_s = await self._turn()
                entry = await self._claim()
            finally:
                if entry is None:
                    self._slots.release()
            if entry is not None:
                self._pace.spend(turn_s)
                self._stories.begin(self._tell(entry))

    async def _turn(self) -> float:
        """Wait for the pace, and anew for the one after a time in which nothing was sent."""
        while True:
            turn_s = await self._pace.wait()
            if self._gate.is_open:
                return turn_s
            await self._gate.opened()

    async def _claim(self) -> Entry | None:
        """Claim what is due; when nothing is, fall asleep until something will be."""
        self._due.clear()
        steady_us = self._steady_us()
        claiming = self._submit(self._now_us(), steady_us)
        try:
            found = await asyncio.shield(claiming)
        except (StoreUnavailable, Undecided):  # the writer has said so
            self._look_in(STORE_RETRY_S)
            return None
        except asyncio.CancelledError:
            self._stories.begin(self._give_back(claiming))
            raise
        except Exception:
            log.exception("claim_failed")
            self._look_in(FAULT_RETRY_S)
            return None
        if isinstance(found, Entry):
            self._due.set()
            if self._gate.is_open:
                return found
            self._stories.begin(self._give_back(claiming))
        elif found is not None:
            self._look_in((found - steady_us) / 1_000_000)
        return None

    def _submit(self, now_us: int, steady_us: int) -> Claiming:
        """Claim in the next transaction, and take that back should its COMMIT report an error."""
        found: list[Entry | int | None] = []

        def claim(transaction: Transaction) -> Entry | int | None:
            found[:] = [entries.claim(transaction, now_us, steady_us)]
            return found[0]

        def undo(transaction: Transaction) -> bool:
            entry = found[0] if found else None
            return isinstance(entry, Entry) and entries.give_back(transaction, entry.row)

        return self._writer.submit(claim, undo=undo)

    async def _give_back(self, claiming: Claiming) -> None:
        """Undo a claim that no call will follow: the outbox was stopped or shut meanwhile."""
        try:
            entry = await claiming
            if isinstance(entry, Entry):
                await self._ledger.write(lambda tx: entries.give_back(tx, entry.row))
        except (StoreUnavailable, Undecided):
            if isinstance(claiming.exception(), StoreUnavailable):
                return  # nothing was claimed; the writer has said so
            log.warning("claim_kept", hint="It counts as unknown after the next start")

    async def _tell(self, entry: Entry) -> None:
        """Tell one entry's story to its end."""
        try:
            due_in_s = await self._call(entry)
            if due_in_s is not None:
                self._look_in(due_in_s)
        except Exception:
            log.exception("settling_failed", message_id=entry.id)
        finally:
            self._slots.release()

    def _look_in(self, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self._due.set)
