"""
Forgetting what retention says, a small step a transaction, so that no callback waits for it.

Each step says whether there is more to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from plivostatusd.store import folding

if TYPE_CHECKING:
    from plivostatusd.store.transaction import Transaction

ROWS_PER_STEP: Final = 50
"""Deleting 200 messages with their events took 10 to 17 ms and a commit of as much again."""
KEYS_KEPT_US: Final = 48 * 3600 * 1_000_000
_DAY_US: Final = 86_400_000_000
_DAYS_KEPT: Final = 2


def blank_texts(transaction: Transaction, before_us: int) -> bool:
    """
    Blank the texts of messages made before *before_us*; a send on its way keeps its own.

    Plivo's words on a refused one go with its text, which they may repeat.
    """
    rows = transaction.execute(
        "SELECT row FROM messages INDEXED BY messages_with_text"
        " WHERE message_body IS NOT NULL AND created_at < ?"
        " AND NOT EXISTS (SELECT 1 FROM outbox WHERE message = row AND state <> 'unknown')"
        " ORDER BY created_at LIMIT ?",
        (before_us, ROWS_PER_STEP),
    ).fetchall()
    # The row keeps its size (less two bytes, which its header may need): were its page to be
    # merged with another, copies of younger texts would stay behind (store/folding.py).
    transaction.connection.executemany(
        "UPDATE messages SET message_body = NULL, plivo_error = NULL,"
        " room = zeroblob(max(0, length(room) + length(CAST(message_body AS BLOB)) - 2"
        " + ifnull(length(CAST(plivo_error AS BLOB)), 0))) WHERE row = ?",
        rows,
    )
    return len(rows) == ROWS_PER_STEP


def delete_messages(transaction: Transaction, before_us: int) -> bool:
    """Delete messages made before *before_us* with their events; unsettled sends stay."""
    rows = transaction.execute(
        "SELECT row FROM messages INDEXED BY messages_by_time"
        " WHERE created_at < ? AND NOT EXISTS (SELECT 1 FROM outbox WHERE message = row)"
        " ORDER BY created_at LIMIT ?",
        (before_us, ROWS_PER_STEP),
    ).fetchall()
    for (row,) in rows:
        transaction.execute("DELETE FROM events WHERE message = ?", (row,))
        transaction.execute("DELETE FROM aliases WHERE message = ?", (row,))
        folding.delete(transaction, row)
    return len(rows) == ROWS_PER_STEP


def delete_unnamed_events(transaction: Transaction, before_us: int) -> bool:
    """Delete events that name no message, received before *before_us*."""
    deleted = transaction.execute(
        "DELETE FROM events WHERE row IN (SELECT row FROM events INDEXED BY events_by_message"
        " WHERE message IS NULL AND received_at < ? LIMIT ?)",
        (before_us, ROWS_PER_STEP),
    )
    return deleted.rowcount == ROWS_PER_STEP


def delete_keys(transaction: Transaction, now_us: int) -> bool:
    """Delete Idempotency-Keys of the day before yesterday, and the counts of such days."""
    transaction.execute("DELETE FROM sends_by_day WHERE day < ?", (now_us // _DAY_US - _DAYS_KEPT,))
    deleted = transaction.execute(
        "DELETE FROM idempotency WHERE (scope, key) IN (SELECT scope, key FROM idempotency"
        " INDEXED BY idempotency_by_time WHERE created_at < ? LIMIT ?)",
        (now_us - KEYS_KEPT_US, ROWS_PER_STEP),
    )
    return deleted.rowcount == ROWS_PER_STEP
