"""
Making a store that was put back, or recovered from a damaged one, agree with itself again.

What SQLite's `.recover` saves may lack rows that others point at, and its counts may be off. Events
are never lost here: one whose message is gone is kept as one that names none. Runs inside a
transaction of `plivostatusd --restore`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from plivostatusd.store import entries, figures

if TYPE_CHECKING:
    from plivostatusd.store.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """How much was found that pointed at nothing."""

    events: int
    others: int


def mend(transaction: Transaction) -> Mended:
    """Let nothing point at what is not there, and count messages and entries anew."""
    events = transaction.execute(
        "UPDATE events SET message = NULL WHERE message IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM messages WHERE row = message)"
    ).rowcount
    others = 0
    for table in ("aliases", "outbox", "asks"):
        others += transaction.execute(
            f"DELETE FROM {table} WHERE NOT EXISTS (SELECT 1 FROM messages WHERE row = message)"  # noqa: S608 - tables of ours
        ).rowcount
    _count(transaction)
    figures.recount(transaction)
    return Mended(events=events, others=others)


def _count(transaction: Transaction) -> None:
    transaction.execute("DELETE FROM tallies")
    transaction.execute(
        "INSERT INTO tallies SELECT current_status, count(*) FROM messages GROUP BY current_status"
    )
    for state in entries.STATES:
        transaction.execute(
            "INSERT INTO tallies SELECT ?1, count(*) FROM outbox WHERE state = ?2",
            (entries.tally_of(state), state),
        )
