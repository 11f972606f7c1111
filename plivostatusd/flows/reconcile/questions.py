"""Single questions: what became of this one message."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final

from plivostatusd.domain.errors import StoreUnavailable
from plivostatusd.flows.reconcile import outcomes
from plivostatusd.flows.reconcile.desk import answer_of
from plivostatusd.log import get_logger
from plivostatusd.plivo import outcome as plivos
from plivostatusd.store import asks, findings, folding
from plivostatusd.store.findings import Answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plivostatusd.flows.reconcile.desk import Desk
    from plivostatusd.flows.reconcile.outcomes import Outcome
    from plivostatusd.store.asks import Due
    from plivostatusd.store.findings import Learnt
    from plivostatusd.store.folding import Found
    from plivostatusd.store.transaction import Transaction

log = get_logger()

AT_ONCE_MAX: Final = 4
"""Questions under way together: each takes a connection that a send may be waiting for."""
AGAIN_US: Final = 60_000_000
PASSED_MAX: Final = 500
"""Of those that Plivo has failed to tell of, so many let all others go first."""
AGAIN_US_MAX: Final = 6 * 3_600_000_000


class Questions:
    """Asks about what is due, one message a question."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._bell = desk.bell()
        self._failures: Counter[int] = Counter()  # in a row, by message

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await self._desk.brake.released()
            self._bell.clear()
            asked = 0
            try:
                asked = await self.round()
            except StoreUnavailable:
                pass  # the writer has said so
            except Exception:
                log.exception("reconcile_failed")
            if not asked:
                await self._desk.rest(self._bell)

    async def round(self) -> int:
        """Ask about a few messages that are due, and say how many. Raises `StoreUnavailable`."""
        desk = self._desk
        steady_us = desk.clock.steady_us()
        limit = AT_ONCE_MAX + min(len(self._failures), PASSED_MAX)
        found: list[Due] = await desk.writer.submit(lambda tx: asks.due(tx, steady_us, limit))
        due = sorted(found, key=lambda each: self._failures[each.row])[:AT_ONCE_MAX]
        under_way: list[asyncio.Task[Outcome | None]] = []
        # No TaskGroup: before Python 3.13 one that failed leaves its task counted as cancelled
        # (CPython gh-133747), and 3.11.2 then ends that task at its next time-out, silently.
        try:
            for each in due:
                if not desk.is_asking or each.message_uuid is None:
                    await self._pass_over(each)
                    continue
                turn_s = await desk.get_pace.wait()
                if desk.brake.is_on:
                    break
                desk.get_pace.spend(turn_s)
                under_way.append(asyncio.create_task(self.ask(each.row, each.message_uuid)))
            await asyncio.gather(*under_way)
        finally:
            await _end(under_way)
        return len(due)

    async def ask(self, row: int, message_uuid: str) -> Outcome | None:
        """
        Ask about one message now, and write the answer down; None when it is gone.

        Raises `StoreUnavailable`.
        """
        desk = self._desk
        finding = await desk.get(message_uuid)
        if isinstance(finding, plivos.Found):
            answer = answer_of(finding.record)
        elif isinstance(finding, plivos.Absent):
            answer = Answer(message_uuid, None, None)
        else:
            return await self._put_off(row, plivos.why(finding))
        self._failures.pop(row, None)
        moment, patience = desk.moment(), desk.patience
        learnt: Learnt | None = await desk.writer.submit(
            lambda tx: (
                findings.learn(tx, answer, moment, patience)
                or findings.note_unanswered(tx, row, moment, patience)
            )
        )
        if learnt is None:
            return None
        outcome = outcomes.of(learnt, is_absent=answer.fact is None)
        desk.outcomes.tell(outcome)
        return outcome

    async def _pass_over(self, due: Due) -> None:
        """Plan anew for one of which Plivo is not asked: silence may be its last word."""
        moment, patience = self._desk.moment(), self._desk.patience
        learnt: Learnt | None = await self._desk.writer.submit(
            lambda tx: findings.note_unanswered(tx, due.row, moment, patience)
        )
        if learnt is not None and learnt.is_silence:
            self._desk.outcomes.tell(outcomes.of(learnt))

    async def _put_off(self, row: int, reason: str) -> Outcome | None:
        """
        There was no answer that can be used: ask again, later each time.

        A few messages that Plivo fails to tell of must not take the turn of all others.
        """
        again_us = min(AGAIN_US_MAX, AGAIN_US << min(self._failures[row], 16))
        self._failures[row] += 1
        due_us = self._desk.clock.steady_us() + again_us

        def job(transaction: Transaction) -> Found | None:
            asks.move(transaction, [row], due_us)
            return folding.find_row(transaction, row)

        message: Found | None = await self._desk.writer.submit(job)
        if message is None:
            return None
        outcome = outcomes.failed(message.id, message.message_uuid, message.status, reason)
        self._desk.outcomes.tell(outcome)
        return outcome


async def _end(questions: Sequence[asyncio.Task[Outcome | None]]) -> None:
    """Leave no question behind when one of them failed, or all are to end."""
    for question in questions:
        question.cancel()
    await asyncio.gather(*questions, return_exceptions=True)
