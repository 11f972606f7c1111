"""Taking sends: what comes back is committed, and what is refused will not be sent."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from plivostatusd.domain import identity
from plivostatusd.domain.errors import KeyInFlight, LimitReached, OutboxPaused
from plivostatusd.store import submissions
from plivostatusd.store.submissions import Accepted, Intent, Submission

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator, Sequence

    from plivostatusd.domain.message import Draft, Request
    from plivostatusd.flows.outbox.answers import Answers
    from plivostatusd.flows.outbox.gate import Gate
    from plivostatusd.flows.outbox.terms import Terms
    from plivostatusd.store.writer import Writer


WAITING_MAX: Final = 5_000
"""Jobs before the store from which on sends are put off: each holds a request and its body."""


class Intake:
    """Records intents. *committed* is called when there may be something new to send."""

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
    ) -> None:
        self.terms = terms
        self._writer = writer
        self._gate = gate
        self._answers = answers
        self._now_us = now_us
        self._steady_us = steady_us
        self._probe_every_s = probe_every_s
        self._committed = committed
        self._committing: set[tuple[str, str]] = set()

    async def accept(
        self, request: Request, *, sent_by: str, key: str | None, is_awaited: bool
    ) -> Accepted:
        """
        Record a send's intents, or find what its key led to before.

        Raises `KeyInFlight`, `KeyReused`, `LimitReached`, `OutboxPaused` and `StoreUnavailable`;
        after each of them nothing is recorded and nothing will be sent.
        """
        if key is not None and (sent_by, key) in self._committing:
            raise KeyInFlight
        if self._gate.paused is not None:
            return await self._known(request, sent_by, key, self._gate.paused)
        if self._writer.waiting >= WAITING_MAX:
            raise LimitReached("Too many sends wait for the disk", retry_after_s=1)
        submission = self.submission(
            request.drafts,
            is_list=request.is_list,
            sent_by=sent_by,
            key=key,
            fingerprint=request.fingerprint,
        )
        if not is_awaited:
            return await self._submit(submission)
        ids = [intent.id for intent in submission.intents]
        self._answers.expect(ids)
        try:
            accepted = await self._submit(submission)
        except BaseException:
            self._answers.forget(ids)
            raise
        if accepted.repeated:
            self._answers.forget(ids)
        return accepted

    def _submit(self, submission: Submission) -> asyncio.Future[Accepted]:
        future = self._writer.submit(
            lambda tx: submissions.accept(tx, submission),
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

    def submission(
        self,
        drafts: Sequence[Draft],
        *,
        is_list: bool,
        sent_by: str,
        key: str | None = None,
        fingerprint: bytes = b"",
    ) -> Submission:
        """Name the messages that *drafts* become, under the limits of this moment."""
        now_us = self._now_us()
        return Submission(
            intents=[_intent(draft, now_us, random) for draft, random in _randomly(drafts)],
            is_list=is_list,
            sent_by=sent_by,
            key=key,
            fingerprint=fingerprint,
            now_us=now_us,
            steady_us=self._steady_us(),
            queue_max=self.terms.queue_max,
            per_day=self.terms.per_day,
        )


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
