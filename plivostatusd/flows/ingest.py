"""
A callback's way in: prove it, read it, record it.

`receive` promises that its future is done with a result only once the report is committed; every
other end is a `Refusal`, and the answer that goes with it. Verification comes before anything else
looks at the bytes. A genuine report that is not understood is recorded raw.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Protocol

from plivostatusd.domain import callback, identity, signature
from plivostatusd.domain.errors import (
    BadSignature,
    CallbackUnreadable,
    Refusal,
    StoreUnavailable,
)
from plivostatusd.log import get_logger
from plivostatusd.store import receipts
from plivostatusd.store.receipts import Arrival, Recorded, Replayed

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from plivostatusd.domain.callback import Report
    from plivostatusd.domain.signature import Pair, Signed, Verdict, Verifier
    from plivostatusd.store.writer import Writer

log = get_logger()

_REMARKS_ALARMING = frozenset({"duplicate_at_plivo", "uuid_of_another"})
_REMARKS_WARNING = frozenset({"unknown_ref", "nonce_reused", "message_unnamed"})


class Gauges(Protocol):
    """What is counted on the way."""

    def callback_recorded(self, recorded: Recorded, report: Report, trust: str) -> None:
        """Count a new event."""

    def callback_repeated(self) -> None:
        """Count a repeat of one that is there."""

    def callback_refused(self, reason: str) -> None:
        """Count a refusal."""

    def commit_took(self, seconds: float) -> None:
        """Count the time from receipt to commit."""


class Ingest:
    """Takes verified callbacks into the store. `verifier` may be replaced at a reload."""

    def __init__(
        self,
        writer: Writer,
        verifier: Verifier,
        gauges: Gauges,
        *,
        queue_max: int,
        now_us: Callable[[], int],
    ) -> None:
        self.verifier = verifier
        self.queue_max = queue_max
        self.waiting = 0
        self._writer = writer
        self._gauges = gauges
        self._now_us = now_us

    def receive(self, request: Signed, ref: str | None) -> asyncio.Future[Recorded]:
        """
        Verify *request*, and record it; *ref* is the one in its path.

        The future's result, or its `Refusal`, is the answer. Raises `BadSignature`,
        `CallbackUnreadable` and `StoreUnavailable` (the queue is full) at once.
        """
        started_s = time.perf_counter()
        try:
            pairs, verdict = self._prove(request)
            if self.waiting >= self.queue_max:
                raise _QueueFull
        except Refusal as refusal:
            self._refused(refusal, request)
            raise
        arrival = self._arrival(request, ref, pairs, verdict)
        future = self._writer.submit(lambda tx: receipts.record(tx, arrival), impatient=True)
        self.waiting += 1

        def done(future: asyncio.Future[Recorded]) -> None:
            self.waiting -= 1
            if future.cancelled():
                return
            error = future.exception()
            if error is None:
                self._gauges.commit_took(time.perf_counter() - started_s)
                self._recorded(future.result(), arrival)
            elif isinstance(error, Refusal):
                self._refused(error, request)

        future.add_done_callback(done)
        return future

    def _prove(self, request: Signed) -> tuple[list[Pair], Verdict]:
        """Give the decoded pairs and the verdict; a genuine but unreadable body has no pairs."""
        try:
            pairs, v3_can_sign = signature.parameters(request)
        except CallbackUnreadable as unreadable:
            try:
                return [], self.verifier.verify(request, None)
            except BadSignature as bad:
                if bad.reason == "no_signature":
                    raise
                raise unreadable from bad
        return pairs, self.verifier.verify(request, pairs if v3_can_sign else None)

    def _arrival(
        self, request: Signed, ref: str | None, pairs: list[Pair], verdict: Verdict
    ) -> Arrival:
        now_us = self._now_us()
        return Arrival(
            report=callback.parse(pairs),
            ref=ref,
            trust=verdict.trust,
            key_name=verdict.key.name,
            key_fingerprint=verdict.key.fingerprint,
            nonces=request.nonces,
            digest=request.digest,
            raw=_verbatim(request),
            received_us=now_us,
            message_id=identity.message_id(now_us, os.urandom(10)),
        )

    def _recorded(self, recorded: Recorded, arrival: Arrival) -> None:
        report = arrival.report
        if recorded.cursor is None:
            self._gauges.callback_repeated()
            log.info("callback_repeated", message_id=recorded.message_id, trust=arrival.trust)
            return
        self._gauges.callback_recorded(recorded, report, arrival.trust)
        fields: dict[str, Any] = {
            "message_id": recorded.message_id,
            "status": report.status,
            "trust": arrival.trust,
            "message_status": recorded.message_status,
            "event_id": recorded.cursor,
        }
        if report.error_code:
            fields["error_code"] = report.error_code
        log.info("callback_recorded", **fields)
        for remark in recorded.remarks:
            _remark(remark, recorded, arrival)

    def _refused(self, refusal: Refusal, request: Signed) -> None:
        reason = getattr(refusal, "reason", refusal.slug)
        self._gauges.callback_refused(reason)
        hint, fields = refusal.hint, {}
        if isinstance(refusal, Replayed):
            level, fields = log.error, {"message_id": refusal.message_id}
            hint = f"plivostatusctl show {refusal.message_id}"
        elif isinstance(refusal, StoreUnavailable):
            level = log.error
        elif reason == "no_signature":  # whoever scans the internet, and nothing to look into
            level = log.info
        else:
            level = log.warning
        level(
            "callback_refused",
            reason=reason,
            status=refusal.http_status,
            bytes=len(request.body),
            hint=hint,
            **fields,
        )


class _QueueFull(StoreUnavailable):
    """As many callbacks wait for their commit as `callbacks.queue_max` allows."""

    reason = "queue_full"
    title = "Too many callbacks wait for their commit"
    hint = "Is the disk slow? iostat -x 1; callbacks.queue_max bounds this queue"


def _remark(remark: str, recorded: Recorded, arrival: Arrival) -> None:
    """Say what was unusual about a callback that was recorded all the same."""
    fields = {"message_id": recorded.message_id, "trust": arrival.trust}
    if remark in _REMARKS_ALARMING:
        log.error(remark, **fields, hint=f"plivostatusctl show {recorded.message_id}")
    elif remark in _REMARKS_WARNING:
        log.warning("callback_unusual", remark=remark, **fields)
    else:
        log.info(remark, **fields)


def _verbatim(request: Signed) -> bytes:
    """Spell the request as it is kept: request line, signature headers, a blank line, the body."""
    head = [f"{request.method} {request.target}"]
    head += [f"{name}: {value}" for name, value in signature.signature_headers(request.headers)]
    return "\n".join(head).encode("latin-1") + b"\n\n" + request.body
