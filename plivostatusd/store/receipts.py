"""
Recording what arrived on the public listener: replay rules, event, message and nonces in one go.

Runs inside a transaction of the writer's, so that what a nonce was used for and the event it came
with are known together or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from plivostatusd.domain.asking import DOUBTED
from plivostatusd.domain.errors import ReplayRefused, UnknownRef
from plivostatusd.domain.statuses import PENDING, UNKNOWN
from plivostatusd.store import asks, binding, entries, folding, nonces, token_uses
from plivostatusd.store.folding import Evidence, Found

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plivostatusd.domain.callback import Report
    from plivostatusd.domain.statuses import Fact
    from plivostatusd.store.pledge import Pledge
    from plivostatusd.store.token_uses import TokenUse
    from plivostatusd.store.transaction import Transaction
    from plivostatusd.store.writer import Instead, Writer


@dataclass(slots=True, kw_only=True)
class Arrival:
    """
    A verified callback. *message_id* is for the row that it may have to make.

    Nobody changes one; but a frozen class takes three times as long to make.

    *doubtful*: what it says is worth a question at Plivo's API, should it decide the outcome.
    *use* is the use of a token that is to be written down with it.
    """

    report: Report
    ref: str | None
    trust: str
    key_name: str
    key_fingerprint: str
    nonces: tuple[str, ...]
    digest: bytes
    raw: bytes
    received_us: int
    message_id: str
    doubtful: bool = False
    use: TokenUse | None = field(default=None, compare=False)  # of this moment, not of the arrival


class _Before(NamedTuple):
    """
    What is there before an arrival: its message, and *digests* of requests that bore its nonces.

    *facts* is what the message's events say, None unless they were read.
    """

    message: Found | None
    digests: set[bytes]
    facts: Sequence[Fact] | None = None


class Replayed(ReplayRefused):
    """A remembered nonce under another request; `message_id` is the message that it names."""

    def __init__(self, message_id: str | None) -> None:
        super().__init__()
        self.message_id = message_id


@dataclass(slots=True)  # not frozen: one a callback, made in a third of the time
class Recorded:
    """
    What became of an arrival: a new event (*cursor*), or a repeat of one that is there (None).

    *remarks* are words for the log: unknown_ref, nonce_reused, duplicate_at_plivo,
    uuid_of_another, inference_wrong, send_found, message_unnamed, disputed. What is *spooled* is on
    disk, and is judged when the store takes it.
    """

    message_id: str | None
    message_status: str | None
    cursor: int | None
    remarks: tuple[str, ...] = ()
    spooled: bool = False


SPOOLED: Final = Recorded(message_id=None, message_status=None, cursor=None, spooled=True)
DISPUTED: Final = "disputed"
_OF_ENTRIES: Final = frozenset({PENDING, UNKNOWN})
"""What a send's status is while its entry waits in the outbox, a claimed one's apart."""


def put(
    writer: Writer,
    arrival: Arrival,
    *,
    since_s: float | None = None,
    instead: Instead | None = None,
) -> Pledge[Recorded]:
    """
    Have *writer* record *arrival* in its next transaction; Plivo waits, so not for long.

    *since_s*, of the loop's time, is when it came; None: now.
    """
    return writer.pledge(lambda tx: record(tx, arrival), since_s=since_s, instead=instead)


def record(transaction: Transaction, arrival: Arrival) -> Recorded:
    """
    Write *arrival* down, unless it is a repeat.

    Raises `UnknownRef` and `Replayed`, both before anything is written.
    """
    recorded = _record(transaction, arrival)
    if arrival.use is not None:
        token_uses.note(transaction, arrival.use, arrival.received_us)
    return recorded


def _record(transaction: Transaction, arrival: Arrival) -> Recorded:
    message = None if arrival.ref is None else folding.by_ref(transaction, arrival.ref)
    if message is not None:
        history = folding.history_of(transaction, message)
        before = _Before(message, history.digests(arrival.nonces), history.facts)
        return _judge(transaction, before, arrival, [])
    if arrival.ref is not None and arrival.trust != "full":
        raise UnknownRef
    uuid = arrival.report.message_uuid
    message = None if uuid is None else folding.by_uuid(transaction, uuid)
    before = _Before(message, _digests_of_ledger(transaction, arrival))
    remarks = [] if arrival.ref is None else ["unknown_ref"]
    recorded = _judge(transaction, before, arrival, remarks)
    if recorded.cursor is not None:
        _remember(transaction, arrival)
    return recorded


def record_spooled(transaction: Transaction, arrival: Arrival) -> Recorded:
    """
    Write down what was acknowledged while the store could not be asked; refuse nothing now.

    What `record` would have refused is kept as disputed, and takes no part in the fold.
    """
    try:
        return record(transaction, arrival)
    except (Replayed, UnknownRef):
        return _dispute(transaction, arrival)


def _dispute(transaction: Transaction, arrival: Arrival) -> Recorded:
    message = None if arrival.ref is None else folding.by_ref(transaction, arrival.ref)
    uuid = arrival.report.message_uuid
    if message is None and arrival.digest in _digests_of_ledger(transaction, arrival):
        return Recorded(message_id=None, message_status=None, cursor=None)  # drained before
    if message is None and uuid is not None:
        message = folding.by_uuid(transaction, uuid)
    fact = arrival.report.fact("callback", arrival.trust)
    cursor = folding.add_event(transaction, message, fact, _evidence(arrival, DISPUTED))
    _remember(transaction, arrival)
    return Recorded(
        message_id=message.id if message else None,
        message_status=message.status if message else None,
        cursor=cursor,
        remarks=(DISPUTED,),
    )


def _digests_of_ledger(transaction: Transaction, arrival: Arrival) -> set[bytes]:
    """Give the digests of the bare path's requests that bore one of the arrival's nonces."""
    return nonces.digests(transaction, arrival.nonces, arrival.digest)


def _remember(transaction: Transaction, arrival: Arrival) -> None:
    nonces.remember(
        transaction, arrival.nonces, arrival.digest, arrival.key_fingerprint, arrival.received_us
    )


def _judge(
    transaction: Transaction, before: _Before, arrival: Arrival, remarks: list[str]
) -> Recorded:
    """Apply the replay rules; what passes them is written."""
    message = before.message
    if arrival.digest in before.digests:
        return _repeat(message)
    if before.digests:
        if arrival.trust != "full":
            raise Replayed(message.id if message else None)
        if _says_nothing_new(transaction, message, arrival):
            return _repeat(message)
        remarks.append("nonce_reused")
    return _write(transaction, before, arrival, remarks)


def _repeat(message: Found | None) -> Recorded:
    return Recorded(
        message_id=message.id if message else None,
        message_status=message.status if message else None,
        cursor=None,
    )


def _says_nothing_new(transaction: Transaction, message: Found | None, arrival: Arrival) -> bool:
    """
    Say whether a V3-signed request with a used nonce repeats what its message already holds.

    V3 signs decoded, sorted pairs, so whoever holds one request can spell it in many ways that all
    verify. None of them may grow the history.
    """
    uuid = arrival.report.message_uuid
    if message is None:
        return uuid is None
    if uuid not in {None, message.message_uuid}:
        return False
    fact = arrival.report.fact("callback", arrival.trust)
    return fact in folding.facts_of(transaction, message.row).facts


def _write(
    transaction: Transaction, before: _Before, arrival: Arrival, remarks: list[str]
) -> Recorded:
    message, _, known = before
    uuid = arrival.report.message_uuid
    fact = arrival.report.fact("callback", arrival.trust)
    may_wait = message is not None and message.is_ours and message.status in _OF_ENTRIES
    aside = None
    if message is not None and uuid not in {None, message.message_uuid}:
        aside = _bind(transaction, message, arrival, remarks)
        known = None  # another message's events may be among them now
    evidence = _evidence(arrival, aside)
    if message is None and uuid is not None:  # early, or sent elsewhere
        message, cursor = folding.make(
            transaction, arrival.message_id, arrival.report.recipient, fact, evidence
        )
    else:
        cursor = folding.add_event(transaction, message, fact, evidence, known=known)
    if message is None:
        remarks.append("message_unnamed")
        return Recorded(None, None, cursor, tuple(remarks))
    if arrival.doubtful and message.whole is not None and message.whole.doubted:
        asks.note(transaction, message.row, DOUBTED)
    if may_wait and entries.found_at_plivo(transaction, message.row):
        remarks.append("send_found")
    return Recorded(message.id, message.status, cursor, tuple(remarks))


def _bind(
    transaction: Transaction, message: Found, arrival: Arrival, remarks: list[str]
) -> str | None:
    """Say that *message* is what *arrival* names; why its event is kept aside comes back."""
    uuid = arrival.report.message_uuid
    assert uuid is not None
    remark = entries.bind(
        transaction, message, uuid, arrival.received_us, spare_id=arrival.message_id
    )
    if remark:
        remarks.append(remark)
    return remark if remark == binding.DUPLICATE_AT_PLIVO else None


def _evidence(arrival: Arrival, aside: str | None) -> Evidence:
    return Evidence(
        received_us=arrival.received_us,
        message_uuid=arrival.report.message_uuid,
        verified_by=arrival.key_name,
        nonces=arrival.nonces,
        digest=arrival.digest,
        raw=arrival.raw,
        sender=arrival.report.sender,
        aside=aside,
    )
