"""Taking sends: what comes back is committed, and what is refused will not be sent."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import TYPE_CHECKING, Final

from plivostatusd.domain import identity
from plivostatusd.domain.errors import (
    KeyInFlight,
    LimitReached,
    OutboxPaused,
    StoreUnavailable,
)
from plivostatusd.flows.outbox.stories import Stories
from plivostatusd.log import get_logger
from plivostatusd.store import rolls, submissions
from plivostatusd.store.submissions import Accepted, Intent, Submission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from plivostatusd.domain.message import Draft, Request
    from plivostatusd.flows.courtesy import Courtesy
    from plivostatusd.flows.outbox.answers import Answers
    from plivostatusd.flows.outbox.gate import Gate
    from plivostatusd.flows.outbox.terms import Terms
    from plivostatusd.store.rolls import Roll
    from plivostatusd.store.writer import Writer

log = get_logger()

WAITING_MAX: Final = 5_000
"""Jobs before the store from which on sends are put off: each holds a request and its body."""
SLICE: Final = 100
"""Messages that are named in one go: a sixth of a millisecond."""
RETRY_S: Final = 0.5
WRITTEN_OUT_S_MAX: Final = 10.0
"""For so long a list's answer waits until all of its messages can be read, should the disk fail."""


class Intake:
    """
    Records intents. *committed* is called when there may be something new to send.

    A long list gives way, by *courtesy*, between its steps.
    """

    def __init__(  # noqa: PLR0913 - it is composed of these, once, by the outbox
        self,
        writer: Writer,
        *,
        gate: Gate,
        answers: Answers,
        terms: Terms,
        now_us: Callable[[], int],
        steady_us: Callable[[], int],
        probe_every_s: float,
        committed: Callable[[], None],
        courtesy: Courtesy,
    ) -> None:
        self.terms = terms
        self._writer = writer
        self._gate = gate
        self._answers = answers
        self._now_us = now_us
        self._steady_us = steady_us
        self._probe_every_s = probe_every_s
        self._committed = committed
        self._courtesy = courtesy
        self._stories = Stories()
        self._committing: set[tuple[str, str]] = set()

    async def accept(
        self, request: Request, *, sent_by: str, key: str | None, is_awaited: bool
    ) -> Accepted:
        """
        Record a send's intents, or find what its key led to before.

        Raises `KeyInFlight`, `KeyReused`, `LimitReached`, `OutboxPaused` and `StoreUnavailable`;
        after each of them nothing is recorded and nothing will be sent.
        """
        now_us = self._now_us()
        intents = await self._named(request.drafts, now_us)
        if key is not None and (sent_by, key) in self._committing:
            raise KeyInFlight
        if self._gate.paused is not None:
            return await self._known(request, sent_by, key, self._gate.paused)
        if self._writer.waiting >= WAITING_MAX:
            raise LimitReached("Too many sends wait for the disk", retry_after_s=1)
        submission = self.submission(
            intents,
            now_us,
            is_list=request.is_list,
            sent_by=sent_by,
            key=key,
            fingerprint=request.fingerprint,
        )
        if not is_awaited:
            return await self._record(submission)
        ids = [intent.id for intent in submission.intents]
        self._answers.expect(ids)
        try:
            accepted = await self._record(submission)
        except BaseException:
            self._answers.forget(ids)
            raise
        if accepted.repeated:
            self._answers.forget(ids)
        return accepted

    async def _record(self, submission: Submission) -> Accepted:
        """Record *submission*; a long one as a roll, which is written out before this returns."""
        if len(submission.intents) <= rolls.STEP:
            return await self._submit(submission)
        roll = submissions.roll_of(submission, submission.intents)
        writing: list[asyncio.Task[None]] = []

        def begin(committed: asyncio.Future[Accepted]) -> None:
            if committed.exception() is None and committed.result().new is not None:
                writing.append(self._stories.begin(self._write_out(roll)))

        future = self._submit(submission, roll)
        future.add_done_callback(begin)
        accepted = await asyncio.shield(future)  # the list stays, should its caller be gone by then
        if writing:
            await asyncio.wait(writing, timeout=WRITTEN_OUT_S_MAX)
        return accepted

    async def _write_out(self, roll: Roll) -> None:
        """Write *roll* out, whatever comes; what is left when the process ends, the next does."""
        is_left = True
        while is_left and not self._writer.closed:
            step = rolls.STEP if self._courtesy.are_coming else rolls.STEP_ALONE
            job = partial(rolls.write_out, name=roll.name, known=roll, step=step)
            try:
                is_left = await self._writer.submit(job)
            except StoreUnavailable:
                await asyncio.sleep(RETRY_S)
                continue
            except Exception:  # a bug of ours; the next start tries again, and says so
                log.exception("list_not_written_out", message_id=roll.name)
                return
            self._committed()
            await self._courtesy.give_way()

    async def end(self, *, within_s: float) -> None:
        """Wait until what was accepted is written out, *within_s* at most."""
        if not await self._stories.end(within_s=within_s):
            await self._stories.cut()

    def _submit(self, submission: Submission, roll: Roll | None = None) -> asyncio.Future[Accepted]:
        future = self._writer.submit(
            lambda tx: submissions.accept(tx, submission, roll=roll),
            undo=lambda tx: submissions.withdraw(tx, submission),
        )
        # At its end, however it ends: a caller may be gone by then, and the intent stays.
        future.add_done_callback(lambda _: self._committed())
        if submission.key is not None:
            name = (submission.sent_by, submission.key)
            self._committing.add(name)
            future.add_done_callback(lambda _: self._committing.discard(name))
        return future

    async def _known(
        self, request: Request, sent_by: str, key: str | None, reason: str
    ) -> Accepted:
        """While the outbox is paused only a key that was here before gets an answer."""
        if key is not None:
            known: Accepted | None = await self._writer.submit(
                lambda tx: submissions.find_key(tx, sent_by, key, request.fingerprint)
            )
            if known is not None:
                return known
        raise OutboxPaused(reason, retry_after_s=int(self._probe_every_s))

    def submission(  # noqa: PLR0913 - one a field
        self,
        intents: Sequence[Intent],
        now_us: int,
        *,
        is_list: bool,
        sent_by: str,
        key: str | None = None,
        fingerprint: bytes = b"",
    ) -> Submission:
        """Put *intents* under the limits of this moment."""
        return Submission(
            intents=intents,
            is_list=is_list,
            sent_by=sent_by,
            key=key,
            fingerprint=fingerprint,
            now_us=now_us,
            steady_us=self._steady_us(),
            queue_max=self.terms.queue_max,
            per_day=self.terms.per_day,
        )

    async def _named(self, drafts: Sequence[Draft], now_us: int) -> list[Intent]:
        """Name the messages that *drafts* become, some at a time."""
        intents = _intents(drafts[:SLICE], now_us)
        for at in range(SLICE, len(drafts), SLICE):
            await self._courtesy.give_way()
            intents += _intents(drafts[at : at + SLICE], now_us)
        return intents


def _intents(drafts: Sequence[Draft], now_us: int) -> list[Intent]:
    return [_intent(draft, now_us, random) for draft, random in _randomly(drafts)]


def _randomly(drafts: Sequence[Draft]) -> Iterator[tuple[Draft, bytes]]:
    """Give each draft its random bytes, from one call: each of them lets go of Python's lock."""
    each = identity.ID_BYTES + identity.REF_BYTES
    random = os.urandom(each * len(drafts))
    for index, draft in enumerate(drafts):
        yield draft, random[index * each : (index + 1) * each]


def _intent(draft: Draft, now_us: int, random: bytes) -> Intent:
    return Intent(
        id=identity.message_id(now_us, random),
        ref=identity.ref(random[identity.ID_BYTES :]),
        draft=draft,
    )
