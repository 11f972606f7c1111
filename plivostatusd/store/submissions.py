"""
Taking sends inside a transaction: the intents of one `POST /send`, and the key they came under.

All of a submission is recorded or nothing is. Afterwards its entries are in the outbox
(store/entries.py).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plivostatusd.domain import phone, statuses
from plivostatusd.domain.errors import KeyReused, LimitReached
from plivostatusd.store import counting, entries, folding
from plivostatusd.store.entries import DAY_US

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plivostatusd.domain.message import Draft
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
    """The ids under which a submission lives; *repeated* when its key had been here before."""

    ids: tuple[str, ...]
    is_list: bool
    repeated: bool


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
    return Accepted(tuple(row[2].split()), bool(row[1]), repeated=True)


def accept(transaction: Transaction, submission: Submission) -> Accepted:
    """
    Record every intent of *submission*, or find what its key led to before.

    Raises `KeyReused` and `LimitReached`, both before anything is written.
    """
    if submission.key is not None:
        known = find_key(transaction, submission.sent_by, submission.key, submission.fingerprint)
        if known is not None:
            return known
    check_limits(transaction, submission)
    for intent in submission.intents:
        record_intent(transaction, intent, submission)
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
    return Accepted(ids, submission.is_list, repeated=False)


def check_limits(transaction: Transaction, submission: Submission) -> None:
    """Count *submission* into its day. Raises `LimitReached` before anything is written."""
    count = len(submission.intents)
    if entries.open_count(transaction) + count > submission.queue_max:
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
            json.dumps(draft.options) if draft.options else None,
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
    figure = (now_us, statuses.PENDING, country, draft.tag, None, None, None, None)
    transaction.count(None, counting.key(figure))
    transaction.move(None, entries.tally_of("pending"))


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
    if not rows:
        return False
    for row in rows:
        entries.forget(transaction, row)
        transaction.execute("DELETE FROM events WHERE message = ?", (row,))
        folding.delete(transaction, row)
    transaction.execute(
        "UPDATE sends_by_day SET n = n - ? WHERE day = ?",
        (len(rows), submission.now_us // DAY_US),
    )
    transaction.execute(
        "DELETE FROM idempotency WHERE scope = ? AND key = ? AND message_ids = ?",
        (submission.sent_by, submission.key, _spell(submission)),
    )
    return True


def _spell(submission: Submission) -> str:
    return " ".join(intent.id for intent in submission.intents)
