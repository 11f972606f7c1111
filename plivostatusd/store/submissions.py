"""
Taking sends inside a transaction: the intents of one `POST /send`, and the key they came under.

All of a submission is recorded or nothing is. Afterwards its entries are in the outbox
(store/entries.py); those of a long list that is accepted as a roll come there step by step
(store/rolls.py).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Final

from plivostatusd.domain import phone, statuses
from plivostatusd.domain.errors import KeyReused, LimitReached
from plivostatusd.store import entries, folding, rolls
from plivostatusd.store.entries import DAY_US
from plivostatusd.store.rolls import Roll

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plivostatusd.domain.message import Draft
    from plivostatusd.store.reader import Record
    from plivostatusd.store.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A draft with the names it will live under."""

    id: str
    ref: str
    draft: Draft


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """Everything that one `POST /send` records, in one transaction or not at all."""

    intents: Sequence[Intent]
    is_list: bool
    sent_by: str
    key: str | None
    fingerprint: bytes
    now_us: int
    steady_us: int
    queue_max: int
    per_day: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """The ids under which a submission lives. *new* is None when its key had been here before."""

    ids: tuple[str, ...]
    is_list: bool
    new: Submission | None = None

    @property
    def repeated(self) -> bool:
        """Say whether the same was accepted before."""
        return self.new is None


def find_key(transaction: Transaction, scope: str, key: str, fingerprint: bytes) -> Accepted | None:
    """
    Find what an Idempotency-Key led to before; None when it is new.

    Raises `KeyReused` when it came with another body.
    """
    row = transaction.one(
        "SELECT fingerprint, is_list, message_ids FROM idempotency WHERE scope = ? AND key = ?",
        (scope, key),
    )
    if row is None:
        return None
    if row[0] != fingerprint:
        raise KeyReused
    ids = tuple(row[2].split())
    rolls.finish(transaction, ids[0])  # for whoever asks what became of them
    return Accepted(ids, bool(row[1]))


def accept(
    transaction: Transaction, submission: Submission, *, roll: Roll | None = None
) -> Accepted:
    """
    Record every intent of *submission*, or find what its key led to before.

    With a *roll* of them that alone is kept, to be written out (store/rolls.py). Raises `KeyReused`
    and `LimitReached`, both before anything is written.
    """
    if submission.key is not None:
        known = find_key(transaction, submission.sent_by, submission.key, submission.fingerprint)
        if known is not None:
            return known
    check_limits(transaction, submission)
    if roll is not None:
        rolls.keep(transaction, roll)
    else:
        _record_all(transaction, submission)
    ids = tuple(intent.id for intent in submission.intents)
    if submission.key is not None:
        transaction.execute(
            "INSERT INTO idempotency VALUES (?, ?, ?, ?, ?, ?)",
            (
                submission.sent_by,
                submission.key,
                submission.fingerprint,
                submission.is_list,
                _spell(submission),
                submission.now_us,
            ),
        )
    return Accepted(ids, submission.is_list, submission)


def check_limits(transaction: Transaction, submission: Submission) -> None:
    """Count *submission* into its day. Raises `LimitReached` before anything is written."""
    count = len(submission.intents)
    if entries.open_count(transaction) + rolls.left(transaction) + count > submission.queue_max:
        raise LimitReached("The outbox is full (send.queue_max)", retry_after_s=10)
    day, rest_us = divmod(submission.now_us, DAY_US)
    if submission.per_day:
        row = transaction.one("SELECT n FROM sends_by_day WHERE day = ?", (day,))
        if (row[0] if row else 0) + count > submission.per_day:
            until_midnight_s = (DAY_US - rest_us) // 1_000_000 + 1
            raise LimitReached(
                "The messages of this day are used up (send.per_day)",
                retry_after_s=until_midnight_s,
            )
    transaction.execute(
        "INSERT INTO sends_by_day VALUES (?1, ?2) ON CONFLICT (day) DO UPDATE SET n = n + ?2",
        (day, count),
    )


def record_intent(
    transaction: Transaction,
    intent: Intent,
    submission: Submission,
    *,
    resend_of: str | None = None,
) -> None:
    """Record one intent of *submission*; *resend_of* is the id of the message that it repeats."""
    draft, now_us = intent.draft, submission.now_us
    country = phone.calling_code(draft.to)
    row = transaction.insert(
        "INSERT INTO messages (id, ref, sender_number, recipient_number, message_body, tag,"
        " options, sent_by, resend_of, current_status, created_at, updated_at, room, country)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'pending', ?10, ?10, zeroblob(?11), ?12)",
        (
            intent.id,
            intent.ref,
            draft.sender,
            draft.to,
            draft.text,
            draft.tag,
            _spell_options(draft),
            submission.sent_by,
            resend_of,
            now_us,
            folding.ROOM_BYTES,
            country,
        ),
    )
    transaction.execute(
        "INSERT INTO events (message, status, received_at, source, trust, status_after)"
        " VALUES (?, 'pending', ?, 'send', 'local', 'pending')",
        (row, now_us),
    )
    transaction.execute(
        "INSERT INTO outbox (message, state, accepted_at, due_at) VALUES (?1, 'pending', ?2, ?2)",
        (row, submission.steady_us),
    )
    transaction.count(None, rolls.figure(now_us, country, draft.tag))
    transaction.move(None, entries.tally_of("pending"))


def roll_of(submission: Submission, intents: Sequence[Intent]) -> Roll:
    """Make a roll of *intents*, some of *submission*'s, which differ by their recipients alone."""
    draft = intents[0].draft
    return Roll(
        named=[(each.id, each.ref, each.draft.to) for each in intents],
        sender=draft.sender,
        text=draft.text,
        tag=draft.tag,
        options=_spell_options(draft),
        sent_by=submission.sent_by,
        now_us=submission.now_us,
        steady_us=submission.steady_us,
    )


def _record_all(transaction: Transaction, submission: Submission) -> None:
    if len(submission.intents) == 1:  # which costs a third less in statements of its own
        record_intent(transaction, submission.intents[0], submission)
        return
    alike = groupby(submission.intents, key=lambda intent: replace(intent.draft, to=""))
    for _, intents in alike:
        roll = roll_of(submission, list(intents))
        rolls.record(transaction, roll, roll.named)


def _spell_options(draft: Draft) -> str | None:
    return json.dumps(draft.options) if draft.options else None


_UNHEARD: Final = dict.fromkeys(
    (
        *("message_uuid", "initial_status", "status_timestamp", "error_code", "reason", "final_by"),
        *("plivo_status", "plivo_error", "units", "amount", "mcc", "mnc", "calls", "called_at"),
        *("delivery_ms", "resend_of"),
    )
)
_EVENT_UNHEARD: Final = dict.fromkeys(
    ("sequence", "at", "error_code", "reason", "aside", "verified_by")
)


def as_recorded(submission: Submission, intent: Intent) -> tuple[Record, list[Record]]:
    """
    Give the row of *intent* as `Reader.message` finds it once it is committed, and its events.

    Without the numbers of rows; and for as long as nothing else happened to it.
    """
    draft, now_us = intent.draft, submission.now_us
    row = {
        **_UNHEARD,
        "id": intent.id,
        "sender_number": draft.sender,
        "recipient_number": draft.to,
        "message_body": draft.text,
        "tag": draft.tag,
        "sent_by": submission.sent_by,
        "current_status": statuses.PENDING,
        **dict.fromkeys(("final", "conflict", "duplicate_at_plivo"), 0),
        **dict.fromkeys(("created_at", "updated_at"), now_us),
    }
    told = {"status": statuses.PENDING, "received_at": now_us, "source": "send", "trust": "local"}
    return row, [{**_EVENT_UNHEARD, **told}]


def withdraw(transaction: Transaction, submission: Submission) -> bool:
    """
    Take back what a COMMIT that reported an error has written: it was answered 503.

    False when nothing of it is there, which is nearly always.
    """
    rows = [
        message.row
        for intent in submission.intents
        if (message := folding.by_ref(transaction, intent.ref)) is not None
    ]
    left = rolls.forget(transaction, submission.intents[0].id)
    if not rows and not left:
        return False
    for row in rows:
        entries.forget(transaction, row)
        transaction.execute("DELETE FROM events WHERE message = ?", (row,))
        folding.delete(transaction, row)
    transaction.execute(
        "UPDATE sends_by_day SET n = n - ? WHERE day = ?",
        (len(rows) + left, submission.now_us // DAY_US),
    )
    transaction.execute(
        "DELETE FROM idempotency WHERE scope = ? AND key = ? AND message_ids = ?",
        (submission.sent_by, submission.key, _spell(submission)),
    )
    return True


def _spell(submission: Submission) -> str:
    return " ".join(intent.id for intent in submission.intents)
