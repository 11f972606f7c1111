"""Reconciling's one door: composes its parts, runs them, and serves who asks on demand."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from plivostatusd.domain.asking import CONTESTED
from plivostatusd.domain.errors import StoreUnavailable
from plivostatusd.domain.worker import Worker
from plivostatusd.flows.reconcile import outcomes
from plivostatusd.flows.reconcile.desk import Desk
from plivostatusd.flows.reconcile.outcomes import Outcome, Outcomes
from plivostatusd.flows.reconcile.questions import Questions
from plivostatusd.flows.reconcile.searches import Searches
from plivostatusd.flows.reconcile.sweeps import Sweeps
from plivostatusd.log import get_logger
from plivostatusd.store import asks, folding, inferring, watching

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from plivostatusd.domain.matching import Call
    from plivostatusd.flows.reconcile.terms import Api, Gauges, Terms
    from plivostatusd.host.clock import Clock
    from plivostatusd.plivo.outcome import Finding
    from plivostatusd.store.folding import Found
    from plivostatusd.store.transaction import Transaction
    from plivostatusd.store.writer import Writer

log = get_logger()

EVERYTHING: Final = 0
IDLE_S: Final = 1.0
NOT_ASKED: Final = "not asked: Plivo's API fails"
LATE_S_MAX: Final = 30.0
TOO_EARLY: Final = "called a moment ago: Plivo's list may not hold it yet"


class Reconcile:
    """Asks Plivo's API about what callbacks leave open. Made and used on the event loop."""

    def __init__(
        self, writer: Writer, api: Api, terms: Terms, gauges: Gauges, *, clock: Clock
    ) -> None:
        self._outcomes = Outcomes(gauges)
        self._desk = Desk(writer, api, terms, self._outcomes, clock)
        self._questions = Questions(self._desk)
        self._searches = Searches(self._desk)
        self._sweeps = Sweeps(self._desk)
        self._bell = self._desk.bell()  # for the two that read lists
        self.worker = Worker("reconcile")
        self._rows = [(float("-inf"), 0)]  # when one looked which message was the newest

    def change(self, terms: Terms) -> None:
        """Take new terms, and look at once what they make due."""
        self._desk.change(terms)
        self._desk.ring()

    def replace_api(self, api: Api) -> None:
        """Ask by *api* from now on: credentials have changed, so whatever failed is tried again."""
        self._desk.api = api
        self._desk.brake.release()

    async def look(self, message_uuid: str) -> Finding:
        """Ask Plivo about one message now, and record nothing; raises nothing."""
        return await self._desk.get(message_uuid)

    def doubt(self, message_id: str) -> None:
        """Ask about a message soon, for somebody may be lying about it."""
        noted = self._desk.writer.submit(lambda tx: _note(tx, message_id))
        noted.add_done_callback(self._has_noted)

    def _has_noted(self, noted: asyncio.Future[None]) -> None:
        if not noted.cancelled() and noted.exception() is None:
            self._desk.ring()
        else:
            log.info("question_not_noted")  # the store takes nothing, and has said so

    async def begin(self) -> None:
        """Look at what an earlier process left, before there is more. Raises `StoreUnavailable`."""
        newest: int = await self._desk.writer.submit(watching.newest_row)
        self._rows = [(float("-inf"), newest)]
        await self._sweeps.begin()

    async def run(self) -> None:
        """Ask until cancelled. What fails is tried again, and keeps nothing else from running."""
        async with asyncio.TaskGroup() as group:
            for story in (self._watch(), self._questions.run(), self._read_lists()):
                group.create_task(story)

    async def _watch(self) -> None:
        """Take messages down once they have been open for `reconcile.after`."""
        while True:
            self.worker.waits_for("the store")
            try:
                await self._take_down()
            except StoreUnavailable:
                pass  # the writer has said so
            except Exception:
                log.exception("reconcile_failed")
            pause_s = self._desk.terms.look_every_s
            now_s = asyncio.get_running_loop().time()
            self.worker.is_back_by(now_s + pause_s + LATE_S_MAX, "its pause")
            await asyncio.sleep(pause_s)

    async def _take_down(self) -> None:
        """
        Go along the messages up to the one that was newest `reconcile.after` ago.

        That is told by a clock that nobody sets, and not by the messages' own times. What an
        earlier process left is old enough.
        """
        desk = self._desk
        now_s = asyncio.get_running_loop().time()
        newest: int = await desk.writer.submit(watching.newest_row)
        if newest != self._rows[-1][1]:
            self._rows.append((now_s, newest))
        behind_s = desk.terms.after_s or desk.terms.silence_final_s
        old = [row for at_s, row in self._rows if at_s <= now_s - behind_s]
        self._rows = self._rows[len(old) - 1 :]
        moment, patience = desk.moment(), desk.patience
        while await desk.writer.submit(
            lambda tx: watching.watch(tx, old[-1], patience, moment.careful_us, moment.steady_us)
        ):
            pass
        desk.ring()

    async def _read_lists(self) -> None:
        """Look for lost sends first, then go through what is silent in bulk."""
        while True:
            await self._desk.brake.released()
            self._bell.clear()
            is_busy = False
            try:
                is_busy = await self._searches.round() or await self._sweeps.round()
            except StoreUnavailable:
                pass  # the writer has said so
            except Exception:
                log.exception("reconcile_failed")
            if not is_busy:
                await self._desk.rest(self._bell)

    # On demand

    async def demand(self, ids: Sequence[str]) -> AsyncGenerator[Outcome | str, None]:
        """
        Ask about each of *ids* now; outcomes come as they are known, a bare id for what is unknown.

        Once Plivo's API fails it is not asked about the rest. Raises `StoreUnavailable`.
        """
        self._desk.brake.release()
        for message_id in ids:
            find = partial(folding.by_id, message_id=message_id)
            found: Found | None = await self._desk.writer.submit(find)
            outcome = None if found is None else await self._ask(found)
            yield message_id if outcome is None else outcome

    async def demand_all(self) -> AsyncGenerator[Outcome, None]:
        """Ask about all that is open, now, and give outcomes until nothing is left to be asked."""
        desk = self._desk
        desk.brake.release()
        desk.demands += 1
        try:
            with self._outcomes.hear() as ear:
                due_us = desk.clock.steady_us()
                await desk.writer.submit(lambda tx: inferring.hurry(tx, due_us))
                await self._sweeps.hurry(EVERYTHING)
                while await self._is_busy() or not ear.empty():
                    outcome = await _next(ear)
                    if outcome is not None:
                        yield outcome
        finally:
            desk.demands -= 1

    async def _is_busy(self) -> bool:
        """Say whether there is something to ask, and Plivo answers."""
        if self._desk.brake.is_on:
            return False
        was_reading = self._sweeps.is_reading
        steady_us = self._desk.clock.steady_us()
        busy: bool = await self._desk.writer.submit(
            lambda tx: bool(asks.due(tx, steady_us, 1) or inferring.unknown_due(tx, steady_us, 1))
        )
        return busy or was_reading or self._sweeps.is_reading

    async def _ask(self, message: Found) -> Outcome | None:
        """Ask about one message by its name at Plivo, or look for it in Plivo's list."""
        call: Call | None = await self._desk.writer.submit(
            lambda tx: inferring.call_of(tx, message.row)
        )
        if message.message_uuid is None and call is None:
            return outcomes.unchanged(message.id, message.status, "Plivo was not called, or is now")
        if self._desk.brake.is_on:
            return outcomes.failed(message.id, message.message_uuid, message.status, NOT_ASKED)
        if message.message_uuid is not None:
            self._desk.get_pace.spend(await self._desk.get_pace.wait())
            return await self._questions.ask(message.row, message.message_uuid)
        assert call is not None
        return await self._look_for(message, call)

    async def _look_for(self, message: Found, call: Call) -> Outcome:
        if self._searches.is_early(call):
            return outcomes.unchanged(message.id, message.status, TOO_EARLY)
        with self._outcomes.hear() as ear:
            reason = await self._searches.look(call)
            while not ear.empty():
                outcome = ear.get_nowait()
                if outcome.message_id == message.id:
                    return outcome
        if reason is not None:
            return outcomes.failed(message.id, None, message.status, reason)
        return outcomes.unchanged(
            message.id, message.status, "nothing in Plivo's list fits it alone"
        )


async def _next(ear: asyncio.Queue[Outcome]) -> Outcome | None:
    try:
        async with asyncio.timeout(IDLE_S):
            return await ear.get()
    except TimeoutError:
        return None


def _note(transaction: Transaction, message_id: str) -> None:
    message = folding.by_id(transaction, message_id)
    if message is not None:
        asks.note(transaction, message.row, CONTESTED)
