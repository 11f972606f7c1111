"""
Taking down what Plivo is to be asked about, some time behind the newest message.

Messages are gone along in the order in which they were made, a step a transaction, and those that
are still open by then are planned for: they are few, and the others have cost nothing. A send that
is not settled is the outbox's business; it is caught up with when it leaves that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from plivostatusd.domain.asking import SILENT, Standing
from plivostatusd.store import asks, folding

if TYPE_CHECKING:
    from plivostatusd.domain.asking import Patience
    from plivostatusd.store.transaction import Transaction

ROWS_PER_STEP: Final = 2_000
_WATCHED: Final = "watched"
_FOR_SILENCE: Final = "for silence"


def newest_row(transaction: Transaction) -> int:
    """Give the number of the newest message; 0 when there was none yet."""
    row = transaction.one("SELECT seq FROM sqlite_sequence WHERE name = 'messages'")
    return int(row[0]) if row else 0


def watch(
    transaction: Transaction, until_row: int, patience: Patience, now_us: int, steady_us: int
) -> bool:
    """
    Take down what is open among the messages up to *until_row*; True while there is more.

    What was gone past while nobody was to be asked is gone along once more when somebody is.
    """
    before = _mark(transaction)
    is_for_all = patience.after_us > 0
    after = 0 if is_for_all and not before.is_for_all else before.row
    end = max(after, min(until_row, after + ROWS_PER_STEP))
    if (end, is_for_all) == before:
        return False
    rows = transaction.execute(
        "SELECT row FROM messages WHERE row > ? AND row <= ? AND final = 0"
        " AND message_uuid IS NOT NULL",
        (after, end),
    ).fetchall()
    for (row,) in rows:
        standing = Standing.of(folding.facts_of(transaction, row))
        silent_us = max(0, now_us - folding.heard_us(transaction, folding.by_row(transaction, row)))
        ask = patience.next(standing, asked=0, silent_us=silent_us)
        if ask is not None:
            asks.note(transaction, row, ask.urgency, steady_us + ask.in_us)
    spelt = str(end) if is_for_all else f"{end} {_FOR_SILENCE}"
    transaction.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (_WATCHED, spelt))
    return end < until_row


def catch_up(transaction: Transaction, row: int) -> None:
    """A send is settled now: if it was gone past before, and is open, see that it is looked at."""
    if row > watched(transaction):
        return
    if transaction.one("SELECT 1 FROM messages WHERE row = ? AND final = 0", (row,)):
        asks.note(transaction, row, SILENT)


def begin_anew(transaction: Transaction) -> None:
    """Go along all messages once more: what was taken down may be lost."""
    transaction.execute("DELETE FROM facts WHERE name = ?", (_WATCHED,))


def watched(transaction: Transaction) -> int:
    """Give the number of the last message that was looked at."""
    return _mark(transaction).row


class _Mark(NamedTuple):
    """How far one has come; *is_for_all* unless only what may become final by silence was taken."""

    row: int
    is_for_all: bool


def _mark(transaction: Transaction) -> _Mark:
    found = transaction.one("SELECT value FROM facts WHERE name = ?", (_WATCHED,))
    row, _, only = (found[0] if found else "0").partition(" ")
    return _Mark(int(row), not only)
