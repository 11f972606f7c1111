"""
Sends whose answer was lost, and what Plivo's list tells of them, inside a transaction.

What is inferred settles a send until something better is known: a callback on its own ref overrules
it (store/binding.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from plivostatusd.domain.matching import Call
from plivostatusd.store import binding, entries, folding
from plivostatusd.store.findings import Answer, Learnt, Moment
from plivostatusd.store.folding import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plivostatusd.store.transaction import Row, Transaction

NEVER_US: Final = 1 << 62
"""When a send that was given up on is due; a start may bring that nearer (entries.reset_clock)."""


def unsettled_calls(transaction: Transaction, since_us: int, until_us: int) -> list[Call]:
    """
    Give every send that was called in a span of time, by the wall clock, and is not settled.

    Those on their way are among them: their messages may be in Plivo's list already.
    """
    rows = transaction.execute(
        "SELECT message, sender_number, recipient_number, claimed_at FROM outbox"
        " JOIN messages ON row = message WHERE state IN ('unknown', 'claimed')"
        " AND claimed_at BETWEEN ? AND ?",
        (since_us, until_us),
    )
    return _calls(rows)


def unknown_due(transaction: Transaction, steady_us: int, limit: int) -> list[Call]:
    """Give sends whose outcome is unknown and that are to be looked for, the longest due first."""
    rows = transaction.execute(
        "SELECT message, sender_number, recipient_number, claimed_at FROM outbox"
        " JOIN messages ON row = message WHERE state = 'unknown' AND due_at <= ?"
        " ORDER BY due_at, message LIMIT ?",
        (steady_us, limit),
    )
    return _calls(rows)


def call_of(transaction: Transaction, row: int) -> Call | None:
    """Give the call of a send whose outcome is unknown; None when it is not."""
    rows = transaction.execute(
        "SELECT message, sender_number, recipient_number, claimed_at FROM outbox"
        " JOIN messages ON row = message WHERE message = ? AND state = 'unknown'",
        (row,),
    )
    return next(iter(_calls(rows)), None)


def infer(transaction: Transaction, row: int, answer: Answer, moment: Moment) -> Learnt | None:
    """
    Say that the send in *row* is what *answer* speaks of, from circumstances alone.

    None when it was settled meanwhile, or the UUID is another message's.
    """
    if entries.state_of(transaction, row) != "unknown" or answer.fact is None:
        return None
    if not binding.is_free(transaction, answer.message_uuid):
        return None
    message = folding.by_row(transaction, row)
    if message.message_uuid is not None:
        return None
    before = message.status
    folding.learn_uuid(transaction, message, answer.message_uuid)
    evidence = Evidence(received_us=moment.now_us, message_uuid=answer.message_uuid, raw=answer.raw)
    folding.add_event(transaction, message, answer.fact._replace(source="inferred"), evidence)
    entries.forget_inferred(transaction, row)
    return Learnt(message.id, answer.message_uuid, before, message.status, is_new=True)


def hurry(transaction: Transaction, due_us: int) -> None:
    """Look for every lost send at the steady instant *due_us*, those given up on among them."""
    transaction.execute("UPDATE outbox SET due_at = ? WHERE state = 'unknown'", (due_us,))


def look_again(transaction: Transaction, row: int, due_us: int) -> None:
    """Look for a send again at the steady instant *due_us*; not for one that was given up on."""
    transaction.execute(
        "UPDATE outbox SET due_at = iif(reported, ?, ?) WHERE message = ? AND state = 'unknown'",
        (NEVER_US, due_us, row),
    )


def report_overdue(transaction: Transaction, before_us: int, limit: int) -> list[str]:
    """
    Give sends that were first called before the steady instant *before_us*, once each.

    Nobody looks for them any more unless an operator asks.
    """
    rows = transaction.execute(
        "SELECT row, id FROM outbox JOIN messages ON row = message WHERE state = 'unknown'"
        " AND due_at < ? AND reported = 0 AND first_tried_at < ? ORDER BY due_at, message LIMIT ?",
        (NEVER_US, before_us, limit),
    ).fetchall()
    transaction.connection.executemany(
        "UPDATE outbox SET reported = 1, due_at = ? WHERE message = ?",
        [(NEVER_US, row) for row, _ in rows],
    )
    return [message_id for _, message_id in rows]


def _calls(rows: Iterable[Row]) -> list[Call]:
    return [
        Call(row=row, sender=sender, recipient=recipient, called_us=called_us)
        for row, sender, recipient, called_us in rows
    ]
