"""
A callback's way in: prove it, read it, record it.

`receive` promises that its pledge is told a result only once the report is committed; every
other end is a `Refusal`, and the answer that goes with it. Verification comes before anything else
looks at the bytes, except where as many wait as may: those are refused unread, because whoever is
to keep up must spend far less on what it refuses than on what it takes. A genuine report that is
not understood is recorded raw.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from plivostatusd.domain import callback, error_codes, identity, signature
from plivostatusd.domain.errors import (
    BadSignature,
    CallbackUnreadable,
    Refusal,
    StoreUnavailable,
)
from plivostatusd.domain.families import Families
from plivostatusd.domain.flood import Flood
from plivostatusd.domain.statuses import known_error
from plivostatusd.flows.token_uses import TokenUses
from plivostatusd.log import get_logger
from plivostatusd.store.receipts import Arrival, Recorded, Replayed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from plivostatusd.domain.callback import Report
    from plivostatusd.domain.signature import Pair, Signed, Verdict, Verifier
    from plivostatusd.store.pledge import Pledge

    Put = Callable[[Arrival], Pledge[Recorded]]

log = get_logger()

_REMARKS_ALARMING = frozenset({"duplicate_at_plivo", "uuid_of_another", "inference_wrong"})
_FORBIDDEN: Final = 403
_REQUEST_ID_BYTES: Final = 8
_AT_ONCE: Final = 256
UNKNOWN_PATH: Final = "unknown_path"
"""Why a signed request on a path that is not ours is refused."""
_DOCTOR: Final = "plivostatusctl doctor"
_REMARKS_WARNING = frozenset({"unknown_ref", "nonce_reused", "message_unnamed", "disputed"})


def _nobody(*_: object) -> None:
    """Tell nobody."""


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
    """
    Takes verified callbacks in. `verifier` may be replaced at a reload.

    *put* keeps an arrival; its pledge is told once that is on disk. *suspected* hears of a message
    about which somebody may have lied, *refused* of a request that is answered 403 or 404.
    """

    def __init__(  # noqa: PLR0913 - what it works with, once, from the daemon
        self,
        put: Put,
        verifier: Verifier,
        gauges: Gauges,
        *,
        queue_max: int,
        now_us: Callable[[], int],
        suspected: Callable[[str], None] = _nobody,
        refused: Callable[[Signed, str], None] = _nobody,
    ) -> None:
        self.verifier = verifier
        self.queue_max = queue_max
        self.waiting = 0
        self.received = 0
        self.token_uses = TokenUses()
        self._put = put
        self._gauges = gauges
        self._suspected = suspected
        self._keep_refused = refused
        self._flood = Flood()
        self._crowd = Flood()
        self._families = Families()
        self._now_us = now_us
        self._random = _random(_REQUEST_ID_BYTES + identity.ID_BYTES)

    def receive(self, request: Signed, ref: str | None) -> Pledge[Recorded]:
        """
        Verify *request*, and record it; *ref* is the one in its path.

        What the pledge is told, a result or a `Refusal`, is the answer. Raises `BadSignature`,
        `CallbackUnreadable` and `StoreUnavailable` (the queue is full) at once.
        """
        if self.waiting >= self.queue_max:
            self._shed()
            raise _QueueFull
        self.received += 1
        started_s = time.perf_counter()
        random = next(self._random)
        request_id = random[:_REQUEST_ID_BYTES].hex()
        try:
            pairs, verdict = self._prove(request)
        except Refusal as refusal:
            self._refused(refusal, request, request_id)
            raise
        message_random = random[_REQUEST_ID_BYTES:]
        arrival = self._arrival(request, ref, pairs, verdict, message_random)
        pledge = self._put(arrival)
        self.waiting += 1

        def told(pledge: Pledge[Recorded]) -> None:
            self.waiting -= 1
            error = pledge.exception()
            if error is None:
                self._gauges.commit_took(time.perf_counter() - started_s)
                self.recorded(arrival, pledge.result(), request_id=request_id)
            elif isinstance(error, Refusal):
                self._refused(error, request, request_id)

        pledge.add_done_callback(told)
        return pledge

    def _shed(self) -> None:
        """Count and log a callback that nobody looked at; of many a few are logged."""
        full = _QueueFull
        self._gauges.callback_refused(full.reason)
        left_out = self._crowd.admit(time.monotonic())
        if left_out is not None:
            fields = {"lines_left_out": left_out} if left_out else {}
            status = full.http_status
            log.error(
                "callback_refused", reason=full.reason, status=status, hint=full.hint, **fields
            )

    def too_large(self, size: int) -> None:
        """Count and log a callback that was not even read."""
        self._gauges.callback_refused("too_large")
        hint = "If Plivo sent it, raise callbacks.body_max"
        log.warning("callback_refused", reason="too_large", status=413, bytes=size, hint=hint)

    def misdirected(self, request: Signed) -> None:
        """Count, log and keep a signed request on a path that is not ours, as if rewritten."""
        if not signature.is_signed(request):
            return
        self._gauges.callback_refused(UNKNOWN_PATH)
        left_out = self._flood.admit(time.monotonic())
        if left_out is not None:
            fields = {"lines_left_out": left_out} if left_out else {}
            log.warning("callback_refused", reason=UNKNOWN_PATH, status=404, hint=_DOCTOR, **fields)
        self._keep_refused(request, UNKNOWN_PATH)

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
        self,
        request: Signed,
        ref: str | None,
        pairs: list[Pair],
        verdict: Verdict,
        random: bytes,
    ) -> Arrival:
        now_us = self._now_us()
        return Arrival(
            report=callback.parse(pairs),
            ref=ref,
            trust=verdict.trust,
            key_name=verdict.key.name,
            key_fingerprint=self.verifier.fingerprint,
            nonces=request.nonces,
            digest=request.digest,
            raw=_verbatim(request),
            received_us=now_us,
            message_id=identity.message_id(now_us, random),
            doubtful=self._is_doubtful(request, ref, verdict),
            use=self.token_uses.note(verdict, now_us, time.monotonic()),
        )

    def _is_doubtful(self, request: Signed, ref: str | None, verdict: Verdict) -> bool:
        """
        Say whether an outcome that this reports is worth a question at Plivo's API.

        V2 signs no body. On a ref's path it still speaks of one message; on the bare path of any,
        and with a V3 signature that fails beside it somebody may have changed what V3 had signed.
        """
        has_v3 = verdict.trust == "full" or signature.offers_v3(request)
        is_news = self._families.note(has_v3=has_v3)
        if is_news:
            hint = "Outcomes on /plivo/status are confirmed now and then only"
            log.info("callbacks_signed_v2_only", count=self._families.in_a_row, hint=hint)
        if verdict.trust == "full" or (ref is not None and not has_v3):
            return False
        return has_v3 or self._families.admit(time.monotonic())

    def recorded(
        self, arrival: Arrival, recorded: Recorded, *, request_id: str | None = None
    ) -> None:
        """
        Count and log what became of *arrival*; once more when the spool is drained of it.

        It is no request's any more by then, so *request_id* is None.
        """
        report = arrival.report
        if recorded.spooled:
            log.info(
                "callback_spooled",
                status=report.status,
                trust=arrival.trust,
                request_id=request_id,
            )
            return
        if recorded.cursor is None:
            self._gauges.callback_repeated()
            log.info(
                "callback_repeated",
                message_id=recorded.message_id,
                trust=arrival.trust,
                request_id=request_id,
            )
            return
        self._gauges.callback_recorded(recorded, report, arrival.trust)
        fields: dict[str, Any] = {
            "message_id": recorded.message_id,
            "status": report.status,
            "trust": arrival.trust,
            "message_status": recorded.message_status,
            "event_id": recorded.cursor,
            "request_id": request_id,
        }
        if code := known_error(report.error_code):
            fields |= {"error_code": code, "error": error_codes.meaning(code)}
        log.info("callback_recorded", **fields)
        for remark in recorded.remarks:
            _remark(remark, recorded, arrival)

    def _refused(self, refusal: Refusal, request: Signed, request_id: str) -> None:
        reason = getattr(refusal, "reason", refusal.slug)
        self._gauges.callback_refused(reason)
        if refusal.http_status == _FORBIDDEN:
            self._keep_refused(request, reason)
        hint = refusal.hint
        fields: dict[str, Any] = {"request_id": request_id}
        if isinstance(refusal, BadSignature):
            left_out = self._flood.admit(time.monotonic())
            if left_out is None:
                return
            if left_out:
                fields["lines_left_out"] = left_out
        if isinstance(refusal, Replayed):
            level = log.error
            fields["message_id"] = refusal.message_id
            if refusal.message_id is not None:
                self._suspected(refusal.message_id)
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


def _random(size: int) -> Iterator[bytes]:
    """Give *size* random bytes again and again; each call of the kernel's lets Python's lock go."""
    while True:
        pool = os.urandom(size * _AT_ONCE)
        for at in range(0, len(pool), size):
            yield pool[at : at + size]


class _QueueFull(StoreUnavailable):
    """As many callbacks wait for their commit as `callbacks.queue_max` allows."""

    reason = "queue_full"
    title = "Too many callbacks wait for their commit"
    hint = "Is the disk slow? iostat -x 1; callbacks.queue_max bounds this queue"


def _remark(remark: str, recorded: Recorded, arrival: Arrival) -> None:
    """Say what was unusual about a callback that was recorded all the same."""
    fields = {"message_id": recorded.message_id, "trust": arrival.trust}
    if remark in _REMARKS_ALARMING:
        shown = recorded.message_id or "MESSAGE"
        log.error(remark, **fields, hint=f"plivostatusctl show {shown}")
    elif remark in _REMARKS_WARNING:
        log.warning("callback_unusual", remark=remark, **fields)
    else:
        log.info(remark, **fields)


def _verbatim(request: Signed) -> bytes:
    """Spell the request as it is kept: request line, signature headers, a blank line, the body."""
    head = [f"{request.method} {request.target}"]
    head += [f"{name}: {value}" for name, value in signature.signature_headers(request.headers)]
    return "\n".join(head).encode("latin-1") + b"\n\n" + request.body
