"""
Which messages Plivo's API is to be asked about, inside a transaction, and when.

Who puts them here: `watching`, when they have been open for some time; `folding` and `receipts`,
when what was reported contradicts itself or cannot be relied upon; `findings`, after each answer.
`folding` takes out what was silent and is final now: no question is spent on what is known. Due
instants are of the steady clock (host/clock.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from plivostatusd.domain.asking import LAST_WORD_SENT, SILENT, URGENCIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from plivostatusd.domain.asking import Ask
    from plivostatusd.store.transaction import Transaction

AT_ONCE: Final = 0
ROWS_PER_STEP: Final = 1_000
DRIFT_US_MIN: Final = 1_000_000
"""Two clocks that differ by less are one."""


class Due(NamedTuple):
    """
    A message to ask about; *message_uuid* is None while nobody knows Plivo's name of it.

    Plivo has had it since some instant from *created_us* to *known_us*, when that was first heard:
    a send may have waited long for its turn.
    """

    row: int
    message_uuid: str | None
    created_us: int
    known_us: int
    asked: int


_DUE = """
SELECT row, message_uuid, created_at, coalesce((
    SELECT min(received_at) FROM events
    WHERE message = messages.row AND (source <> 'send' OR trust = 'api')
), created_at), asked
FROM asks JOIN messages ON row = message
WHERE urgency = ? AND due_at <= ? ORDER BY due_at, message LIMIT ?
"""


def note(transaction: Transaction, row: int, urgency: int, due_us: int = AT_ONCE) -> None:
    """Ask about a message by *due_us*, with *urgency* or more."""
    transaction.execute(
        "INSERT INTO asks (message, urgency, due_at) VALUES (?, ?, ?)"
        " ON CONFLICT (message) DO UPDATE"
        " SET urgency = min(urgency, excluded.urgency), due_at = min(due_at, excluded.due_at)",
        (row, urgency, due_us),
    )


def plan(transaction: Transaction, row: int, ask: Ask | None, steady_us: int, asked: int) -> None:
    """Ask about a message as *ask* says, which is after *asked* questions; None: no more."""
    if ask is None:
        transaction.execute("DELETE FROM asks WHERE message = ?", (row,))
        return
    transaction.execute(
        "INSERT OR REPLACE INTO asks (message, urgency, due_at, asked) VALUES (?, ?, ?, ?)",
        (row, ask.urgency, steady_us + ask.in_us, asked),
    )


def pass_on(transaction: Transaction, old: int, new: int) -> None:
    """Two rows turn out to be one message: ask about *new* as was to be asked about *old*."""
    found = transaction.one("SELECT urgency, due_at FROM asks WHERE message = ?", (old,))
    if found is not None:
        note(transaction, new, *found)


def answer_silence(transaction: Transaction, row: int) -> None:
    """A message is final: whoever wanted to know why it is silent need not ask any more."""
    transaction.execute(
        "DELETE FROM asks WHERE message = ? AND urgency IN (?, ?)", (row, SILENT, LAST_WORD_SENT)
    )


def due(
    transaction: Transaction,
    steady_us: int,
    limit: int,
    urgencies: Sequence[int] = URGENCIES,
) -> list[Due]:
    """Give what is due of *urgencies*, the most urgent first and then the oldest."""
    found: list[Due] = []
    for urgency in urgencies:
        rows = transaction.execute(_DUE, (urgency, steady_us, limit - len(found)))
        found += map(Due._make, rows)
        if len(found) == limit:
            break
    return found


def is_asked(transaction: Transaction, message_uuid: str) -> bool:
    """Say whether Plivo is to be asked about the message that has this UUID."""
    found = transaction.one(
        "SELECT 1 FROM asks WHERE message = (SELECT row FROM messages WHERE message_uuid = ?)",
        (message_uuid,),
    )
    return found is not None


def move(transaction: Transaction, rows: Iterable[int], due_us: int) -> None:
    """Ask about each of *rows*, if it is to be asked about at all, at *due_us*."""
    transaction.connection.executemany(
        "UPDATE asks SET due_at = ? WHERE message = ?", [(due_us, row) for row in rows]
    )


def hurry(
    transaction: Transaction, after_row: int, created_since_us: int, due_us: int
) -> int | None:
    """
    Ask by *due_us* about messages made since *created_since_us*, a step behind *after_row*.

    The last row looked at comes back, None at the end.
    """
    rows = transaction.execute(
        "SELECT message, due_at, created_at FROM asks JOIN messages ON row = message"
        " WHERE message > ? ORDER BY message LIMIT ?",
        (after_row, ROWS_PER_STEP),
    ).fetchall()
    move(
        transaction,
        [row for row, at_us, made_us in rows if at_us > due_us and made_us >= created_since_us],
        due_us,
    )
    return int(rows[-1][0]) if len(rows) == ROWS_PER_STEP else None


def reset_clock(transaction: Transaction, steady_us: int, drift_us: int, ahead_us_max: int) -> None:
    """Make due instants of the last process's clock ones of this process's, now at *steady_us*."""
    if abs(drift_us) > DRIFT_US_MIN:
        transaction.execute("UPDATE asks SET due_at = due_at + ?", (drift_us,))
    latest_us = steady_us + ahead_us_max
    for urgency in URGENCIES:
        transaction.execute(
            "UPDATE asks SET due_at = ?1 WHERE urgency = ?2 AND due_at > ?1", (latest_us, urgency)
        )
