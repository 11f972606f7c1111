"""The outbox's one door: composes its parts, and starts and stops them in order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from plivostatusd.flows.courtesy import Courtesy
from plivostatusd.flows.outbox.answers import Answers
from plivostatusd.flows.outbox.backlog import Backlog
from plivostatusd.flows.outbox.calls import Calls
from plivostatusd.flows.outbox.dispatch import Dispatch
from plivostatusd.flows.outbox.gate import Gate
from plivostatusd.flows.outbox.intake import Intake
from plivostatusd.flows.outbox.ledger import Ledger
from plivostatusd.flows.outbox.probing import Probing
from plivostatusd.flows.outbox.settling import Settling
from plivostatusd.flows.outbox.stories import Stories
from plivostatusd.flows.pace import Pace
from plivostatusd.log import get_logger
from plivostatusd.store import entries, rolls
from plivostatusd.store.writer import overwrite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from plivostatusd.domain.message import Request
    from plivostatusd.flows.outbox.terms import Api, Gauges, Terms
    from plivostatusd.store.submissions import Accepted
    from plivostatusd.store.transaction import Transaction
    from plivostatusd.store.writer import Writer

log = get_logger()

PROBE_EVERY_S: Final = 60.0
SETTLE_S_MAX: Final = 2.5


HELD_BY_OPERATOR: Final = "held by an operator"
HELD_HINT: Final = (
    "plivostatusctl list --status pending; plivostatusctl cancel ID for what is stale;"
    " then plivostatusctl release"
)


class Outbox:
    """
    Takes sends, and calls Plivo at its own pace. Made and used on the event loop.

    `settling` writes down what an operator says of sends whose outcome is unknown.
    """

    def __init__(  # noqa: PLR0913 - it is composed of these, once, by the daemon
        self,
        writer: Writer,
        api: Api,
        terms: Terms,
        gauges: Gauges,
        *,
        now_us: Callable[[], int],
        steady_us: Callable[[], int],
        probe_every_s: float = PROBE_EVERY_S,
        courtesy: Courtesy | None = None,
    ) -> None:
        self._writer = writer
        self._now_us = now_us
        self._steady_us = steady_us
        ledger = Ledger(writer)
        self._gate = Gate()
        self._answers = Answers()
        self._stories = Stories()
        self._pace = Pace(terms.per_second)
        self._backlog = Backlog(writer, self._answers, now_us=now_us)
        self._probing = Probing(
            api=api,
            gate=self._gate,
            answers=self._answers,
            backlog=self._backlog,
            terms=terms,
            steady_us=steady_us,
            every_s=probe_every_s,
            resumed=self._look,
        )
        self._calls = Calls(
            ledger=ledger,
            api=api,
            terms=terms,
            gauges=gauges,
            pace=self._pace,
            answers=self._answers,
            probing=self._probing,
            now_us=now_us,
            steady_us=steady_us,
        )
        self._dispatch = Dispatch(
            writer,
            ledger=ledger,
            gate=self._gate,
            pace=self._pace,
            stories=self._stories,
            call=self._calls.make,
            concurrency=terms.concurrency,
            now_us=now_us,
            steady_us=steady_us,
        )
        self._intake = Intake(
            writer,
            gate=self._gate,
            answers=self._answers,
            terms=terms,
            now_us=now_us,
            steady_us=steady_us,
            probe_every_s=probe_every_s,
            committed=self._look,
            courtesy=courtesy or Courtesy(lambda: 0),
        )
        self.settling = Settling(writer, self._intake, now_us=now_us, committed=self._look)

    def _look(self) -> None:
        self._dispatch.look()

    @property
    def paused(self) -> str | None:
        """Why Plivo refuses the account; None while it does not."""
        return self._gate.paused

    @property
    def held(self) -> bool:
        """Say whether the outbox is held until an operator releases it."""
        return self._gate.held is not None

    @property
    def why_waiting(self) -> str | None:
        """Why nothing is sent just now; None when sends are on their way."""
        return self._gate.why_shut

    @property
    def terms(self) -> Terms:
        """What sending rests on now."""
        return self._intake.terms

    def change(self, terms: Terms) -> None:
        """Take new terms; calls on their way keep the old ones. Concurrency waits for a restart."""
        self._intake.terms = self._calls.terms = self._probing.terms = terms
        self._pace.per_second = terms.per_second

    def replace_api(self, api: Api) -> None:
        """Call Plivo by *api* from now on: credentials have changed, so a pause is looked at."""
        before = self._calls.api
        self._calls.api = self._probing.api = api
        self._probing.hurry()
        on_their_way = self._stories.running

        async def close() -> None:
            if on_their_way:
                await asyncio.wait(on_their_way)
            await before.close()

        self._stories.begin(close())

    async def accept(
        self, request: Request, *, sent_by: str, key: str | None, is_awaited: bool = True
    ) -> Accepted:
        """
        Record a send's intents; what comes back is committed, and `answered` may be asked of it.

        Unless it is not *is_awaited*: a list of a thousand need not be listened for, then.
        Raises `KeyInFlight`, `KeyReused`, `LimitReached`, `OutboxPaused` and `StoreUnavailable`;
        after each of them nothing is recorded and nothing will be sent.
        """
        return await self._intake.accept(request, sent_by=sent_by, key=key, is_awaited=is_awaited)

    async def answered(self, ids: Iterable[str], *, within_s: float) -> bool:
        """
        Return once each of *ids* is settled, or cannot be soon, or *within_s* have passed.

        False at once while nothing is sent: they are as they were recorded.
        """
        if self.why_waiting is None:
            await self._answers.wait(ids, within_s=within_s)
            return True
        self._answers.forget(ids)
        return False

    async def hold(self, *, held: bool, by: str) -> None:
        """Stop calling Plivo, or go on; remembered across restarts. Callbacks are not affected."""
        why = HELD_BY_OPERATOR if held else None
        await self._writer.submit(lambda tx: entries.hold(tx, why), undo=overwrite)
        self._gate.hold(why)
        log.info("outbox_held" if held else "outbox_released", by=by)
        if held:
            self._answers.tell_all()

    async def cancel(self, message_id: str, *, by: str) -> bool:
        """Cancel a pending message; False when there is none. Raises `NotCancellable`."""
        now_us = self._now_us()
        found: bool = await self._writer.submit(
            lambda tx: entries.cancel(tx, message_id, now_us, by), undo=overwrite
        )
        if found:
            log.info("send_cancelled", message_id=message_id, by=by)
            self._answers.tell(message_id)
        return found

    async def write_out(self) -> None:
        """
        Write out the lists that the last process left in part, before its clock is forgotten.

        Raises `StoreUnavailable`.
        """
        await rolls.write_out_rest(self._writer)

    async def start(self, *, doubt: str | None = None) -> None:
        """
        Look at what the last process left, then begin to call. Raises `StoreUnavailable`.

        With a *doubt* whether what it left is still to be sent, that is held for an operator.
        """
        held: str | None = await self._writer.submit(lambda tx: _doubted(tx, doubt))
        await self._backlog.recover(
            retry_for_us=None if held else self.terms.retry_for_us,
            look_after_us=self.terms.look_after_us,
            steady_us=self._steady_us(),
        )
        self._gate.hold(held)
        if held:
            log.warning("outbox_held", reason=held, hint=HELD_HINT)
        self._gate.open_up()
        self._dispatch.begin()

    async def stop(self, *, within_s: float) -> None:
        """Begin no more calls; wait for those on their way, *within_s* at most."""
        self._gate.shut_down()
        await self._dispatch.end()
        await self._probing.end()
        self._answers.tell_all()
        await self._stories.end(within_s=within_s)

    async def close(self) -> None:
        """Cut what is still on its way, and write down what is known of it."""
        await self._intake.end(within_s=SETTLE_S_MAX)
        await self._calls.api.close()
        is_all_told = await self._stories.end(within_s=SETTLE_S_MAX)
        if is_all_told:
            return
        count = len(self._stories.running)
        log.error("sends_unsettled", count=count, hint="They are unknown after the next start")
        await self._stories.cut()


def _doubted(transaction: Transaction, doubt: str | None) -> str | None:
    """Hold what an earlier process left when there is a *doubt* about it; why it is held."""
    held = entries.held(transaction)
    if held is None and doubt is not None and entries.open_count(transaction):
        held = doubt
        entries.hold(transaction, held)
    return held
