"""Looking in Plivo's list for sends whose answer was lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from plivostatusd.domain import matching
from plivostatusd.domain.matching import MARGIN_US, Call, Candidate
from plivostatusd.flows.reconcile import outcomes
from plivostatusd.flows.reconcile.desk import answer_of
from plivostatusd.flows.reconcile.outcomes import Outcome
from plivostatusd.flows.reconcile.reading import ListUnreadable, read
from plivostatusd.log import get_logger
from plivostatusd.plivo.query import ListQuery
from plivostatusd.store import binding, entries, inferring

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plivostatusd.flows.reconcile.desk import Desk
    from plivostatusd.plivo.record import MessageRecord
    from plivostatusd.store.findings import Learnt
    from plivostatusd.store.transaction import Transaction

log = get_logger()

CALLS_MAX: Final = 500
SPAN_US: Final = 30 * 60_000_000
FEW: Final = 3
"""So many sends are looked for one by one: the list can be asked for one recipient alone."""
PAGES_MAX: Final = 20
SETTLED_US: Final = 5_000_000
"""Plivo's list is not asked about the last seconds: what is in it by then, nobody can tell."""
CERTAIN_US_MIN: Final = SETTLED_US + 1_000_000
"""Before that the list cannot hold what was called, but may hold another message that fits."""
AGAIN_US_MIN: Final = 60_000_000
AGAIN_US_MAX: Final = 3_600_000_000
REPORTS_PER_ROUND: Final = 100


class Searches:
    """Looks for lost sends, and reports those that nobody finds."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def round(self) -> bool:
        """Look for some that are due; False when none are. Raises `StoreUnavailable`."""
        desk = self._desk
        await self._report_overdue()
        if not desk.is_asking:
            return False
        steady_us = desk.clock.steady_us()
        due: list[Call] = await desk.writer.submit(
            lambda tx: inferring.unknown_due(tx, steady_us, CALLS_MAX)
        )
        due.sort(key=lambda call: call.called_us)
        if not due:
            return False
        together = [call for call in due if call.called_us - due[0].called_us <= SPAN_US]
        if len(together) > FEW and await self._look(together):
            return True
        for call in together:
            if desk.brake.is_on:
                break  # what is left stays due
            await self._look([call])
        return True

    def is_early(self, call: Call) -> bool:
        """Say whether Plivo's list may lack what fits this call, so that nothing is inferred."""
        return call.called_us > self._desk.clock.wall_us() - self._certain_after_us

    @property
    def _certain_after_us(self) -> int:
        longest_us = MARGIN_US + SETTLED_US
        return max(CERTAIN_US_MIN, min(self._desk.patience.after_us or longest_us, longest_us))

    async def look(self, call: Call) -> str | None:
        """Look for one send now; a reason comes back when the list cannot be read."""
        return None if await self._look([call]) else "Plivo's list cannot be read"

    async def _look(self, calls: Sequence[Call]) -> bool:
        """Look for *calls*, of which the first was called first; False: the list is unreadable."""
        desk = self._desk
        seen: list[MessageRecord] = []

        async def keep(records: Sequence[MessageRecord]) -> bool:
            seen.extend(records)
            return True

        pages_max = max(PAGES_MAX, len(calls)) if len(calls) > 1 else PAGES_MAX
        try:
            await read(desk, self._query(calls), keep, pages_max=pages_max)
        except ListUnreadable as error:
            log.debug("list_unreadable", reason=str(error))
            if len(calls) == 1:
                await self._look_again(calls)
            return False
        for learnt in await self._infer(calls, seen):
            outcome = Outcome(
                learnt.message_id,
                learnt.message_uuid,
                learnt.before,
                learnt.after,
                outcomes.INFERRED,
            )
            desk.outcomes.tell(outcome)
        return True

    def _query(self, calls: Sequence[Call]) -> ListQuery:
        since_us = calls[0].called_us - MARGIN_US
        latest_us = self._desk.clock.wall_us() - SETTLED_US
        until_us = max(since_us + 1, min(calls[-1].called_us + MARGIN_US, latest_us))
        if len(calls) > 1:
            return ListQuery(since_us=since_us, until_us=until_us)
        (call,) = calls
        return ListQuery(
            since_us=since_us, until_us=until_us, sender=call.sender, recipient=call.recipient
        )

    async def _infer(self, calls: Sequence[Call], records: Sequence[MessageRecord]) -> list[Learnt]:
        """Settle what fits, and put the others off."""
        moment = self._desk.moment()
        sought = {call.row for call in calls if not self.is_early(call)}
        answers = {record.message_uuid: answer_of(record) for record in records}

        def job(transaction: Transaction) -> list[Learnt]:
            free = [
                _candidate(record)
                for record in records
                if binding.is_free(transaction, record.message_uuid)
            ]
            rivals = inferring.unsettled_calls(
                transaction,
                calls[0].called_us - 2 * MARGIN_US,
                calls[-1].called_us + 2 * MARGIN_US,
            )
            found = [
                inferring.infer(transaction, call.row, answers[candidate.message_uuid], moment)
                for call, candidate in matching.matches(rivals, free)
                if call.row in sought
            ]
            for call in calls:
                self._put_off(transaction, call)
            return [learnt for learnt in found if learnt is not None]

        learnt: list[Learnt] = await self._desk.writer.submit(job)
        return learnt

    async def _look_again(self, calls: Sequence[Call]) -> None:
        def job(transaction: Transaction) -> None:
            for call in calls:
                self._put_off(transaction, call)

        await self._desk.writer.submit(job)

    def _put_off(self, transaction: Transaction, call: Call) -> None:
        """Look again when the call is twice as old, within bounds."""
        age_us = self._desk.clock.wall_us() - call.called_us
        least_us = min(AGAIN_US_MIN, self._desk.patience.after_us or AGAIN_US_MIN)
        in_us = max(least_us, min(age_us, AGAIN_US_MAX))
        inferring.look_again(transaction, call.row, self._desk.clock.steady_us() + in_us)

    async def _report_overdue(self) -> None:
        """Say once of each send that nobody could settle for long; never send it again."""
        desk = self._desk
        before_us = desk.clock.steady_us() - int(desk.terms.unknown_after_s * 1_000_000)
        refuses, now_us = desk.terms.refuses_unknown, desk.clock.wall_us()

        def job(transaction: Transaction) -> list[str]:
            overdue = inferring.report_overdue(transaction, before_us, REPORTS_PER_ROUND)
            for message_id in overdue if refuses else ():
                entries.refuse_unknown(transaction, message_id, now_us)
            return overdue

        for message_id in await desk.writer.submit(job):
            hint = f"plivostatusctl show {message_id}"
            if not refuses:
                hint = f"Plivo's console, then: plivostatusctl settle {message_id} --help"
            log.error("send_unsettled", message_id=message_id, refused=refuses, hint=hint)


def _candidate(record: MessageRecord) -> Candidate:
    return Candidate(
        message_uuid=record.message_uuid,
        direction=record.direction,
        sender=record.sender,
        recipient=record.recipient,
        at_us=record.message_time_us,
    )
