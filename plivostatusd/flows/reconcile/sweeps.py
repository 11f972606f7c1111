"""Reading Plivo's list about many silent messages at once, as after a time of lost callbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from plivostatusd.domain.asking import DOUBTED, LAST_WORD_SENT, RECORD_KEPT_US, SILENT
from plivostatusd.flows.reconcile import outcomes
from plivostatusd.flows.reconcile.desk import answer_of
from plivostatusd.flows.reconcile.reading import ListUnanswered, ListUnreadable, read
from plivostatusd.log import get_logger
from plivostatusd.plivo.query import ListQuery
from plivostatusd.store import asks, findings, pulse, watching

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from plivostatusd.flows.reconcile.desk import Desk
    from plivostatusd.plivo.record import MessageRecord
    from plivostatusd.store.asks import Due
    from plivostatusd.store.findings import Learnt
    from plivostatusd.store.pulse import Gap
    from plivostatusd.store.transaction import Transaction

log = get_logger()

MANY: Final = 200
"""From so many on a page of 20 tells more than single questions in the time that it takes."""
ROWS_MAX: Final = 5_000
PAGES_MAX: Final = 2_000
PAGES_TO_JUDGE: Final = 10
YIELD_MIN: Final = 2
"""Rows a page that are ours: with fewer, single questions are quicker."""
EARLIER_US: Final = 120_000_000
LATER_US: Final = 10_000_000
"""How far Plivo's clock may be ahead of ours. What lies there stands on the first pages, and is not
sought: with a longer margin they alone would judge the whole walk as not worth it."""
SETTLED_US: Final = 5_000_000
LENT_US: Final = 7_200_000_000
QUEUED_US_MAX: Final = 24 * 3_600_000_000
"""So long before a gap a message may have been sent of which the gap lost the callbacks."""
_URGENCIES: Final = (SILENT, DOUBTED, LAST_WORD_SENT)


class Sweeps:
    """Goes through what is due in stretches of Plivo's list; what is left over is asked singly."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.is_reading = False  # while it is, what is lent is not due and will be
        self._gap: Gap | None = None
        self._left: set[tuple[int, int]] = set()  # what no list told of: row, and how often asked
        self._lent: list[int] = []  # what nobody else asks about for now: rows

    async def begin(self) -> None:
        """Take up a gap that is not filled yet. Raises `StoreUnavailable`."""
        self._gap = await self._desk.writer.submit(pulse.gap)
        if self._gap is None:
            return
        since_us, until_us = self._gap
        log.info("gap_found", seconds=round((until_us - since_us) / 1e6))
        await self.hurry(since_us - QUEUED_US_MAX)

    async def hurry(self, created_since_us: int) -> None:
        """Take down all that is open, and ask about what was made since *created_since_us*, now."""
        desk = self._desk
        moment, patience = desk.moment(), desk.patience
        newest: int = await desk.writer.submit(watching.newest_row)
        while await desk.writer.submit(
            lambda tx: watching.watch(tx, newest, patience, moment.careful_us, moment.steady_us)
        ):
            pass
        after: int | None = 0
        while after is not None:
            after = await self._hurry_from(after, created_since_us, moment.steady_us)
        desk.ring()

    async def _hurry_from(self, after: int, created_since_us: int, due_us: int) -> int | None:
        last: int | None = await self._desk.writer.submit(
            lambda tx: asks.hurry(tx, after, created_since_us, due_us)
        )
        return last

    async def round(self) -> bool:
        """Go through one stretch; False when there is none worth it. Raises `StoreUnavailable`."""
        desk = self._desk
        await self._take_back()
        if not desk.is_asking:
            return False
        steady_us = desk.clock.steady_us()
        due: list[Due] = await desk.writer.submit(
            lambda tx: asks.due(tx, steady_us, ROWS_MAX, _URGENCIES)
        )
        self._left.intersection_update((each.row, each.asked) for each in due)
        sought = {
            each.message_uuid: each
            for each in due
            if each.message_uuid is not None and (each.row, each.asked) not in self._left
        }
        is_worth_it = len(sought) >= (1 if self._gap else MANY)
        is_read = is_worth_it and await self._go_through(sought)
        if len(due) < ROWS_MAX and (is_read or not is_worth_it):
            await self._close_gap()
        return is_worth_it

    async def _go_through(self, sought: dict[str, Due]) -> bool:
        """Lend *sought* to a sweep, so that nobody else asks; False when Plivo does not answer."""
        desk = self._desk
        self.is_reading = True
        try:
            self._lent = [each.row for each in sought.values()]
            await self._move(self._lent, desk.clock.steady_us() + LENT_US)
            try:
                await self._sweep(sought)
            finally:
                self._lent = [each.row for each in sought.values()]
                await self._take_back()
        except ListUnanswered as error:
            log.info("list_unanswered", reason=str(error))
            return False
        finally:
            self.is_reading = False
        self._left.update((each.row, each.asked) for each in sought.values())
        desk.ring()
        return True

    async def _take_back(self) -> None:
        """Have what was lent and is not answered be due, once the store takes that."""
        if self._lent:
            await self._move(self._lent, self._desk.clock.steady_us())
            self._lent = []

    async def _move(self, rows: Sequence[int], due_us: int) -> None:
        await self._desk.writer.submit(lambda tx: asks.move(tx, rows, due_us))

    async def _sweep(self, sought: dict[str, Due]) -> None:
        """
        Read the list about *sought*; what was found is taken out of it.

        What else is to be asked about and stands on a page is learnt with it.
        """
        desk = self._desk
        query = self._query(sought.values())
        log.info("list_entered", messages=len(sought))
        pages, found = 0, 0

        async def learn(records: Sequence[MessageRecord]) -> bool:
            nonlocal pages, found
            learnt = await self._learn(records)
            for message_uuid in learnt:
                sought.pop(message_uuid, None)
            pages, found = pages + 1, found + len(learnt)
            is_worth_it = pages < PAGES_TO_JUDGE or found >= pages * YIELD_MIN
            return bool(sought) and is_worth_it

        try:
            await read(desk, query, learn, pages_max=PAGES_MAX)
        except ListUnanswered:
            raise
        except ListUnreadable as error:
            log.info("list_unreadable", reason=str(error))
        finally:
            log.info("list_left", pages=pages, found=found, left=len(sought))

    def _query(self, sought: Iterable[Due]) -> ListQuery:
        """Ask for the time in which Plivo took *sought*, as far as it keeps records."""
        now_us = self._desk.clock.wall_us()
        spans = [(each.created_us, each.known_us) for each in sought]
        first_us, last_us = min(first for first, _ in spans), max(last for _, last in spans)
        since_us = max(first_us, now_us - RECORD_KEPT_US + 2 * EARLIER_US) - EARLIER_US
        until_us = min(last_us + LATER_US, now_us - SETTLED_US)
        return ListQuery(since_us=since_us, until_us=max(since_us + 1, until_us))

    async def _learn(self, records: Sequence[MessageRecord]) -> list[str]:
        """Write down in one transaction what a page says of messages that are to be asked about."""
        desk = self._desk
        moment, patience = desk.moment(), desk.patience

        def job(transaction: Transaction) -> list[Learnt]:
            wanted = [
                answer_of(each) for each in records if asks.is_asked(transaction, each.message_uuid)
            ]
            found = [findings.learn(transaction, each, moment, patience) for each in wanted]
            return [learnt for learnt in found if learnt is not None]

        found: list[Learnt] = await desk.writer.submit(job) if records else []
        for learnt in found:
            desk.outcomes.tell(outcomes.of(learnt))
        return [learnt.message_uuid for learnt in found if learnt.message_uuid is not None]

    async def _close_gap(self) -> None:
        gap = self._gap
        if gap is not None:
            await self._desk.writer.submit(lambda tx: pulse.close_gap(tx, gap))
            self._gap = None
            log.info("gap_filled")
