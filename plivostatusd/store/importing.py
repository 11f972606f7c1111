"""
Rows of another program's table, written into the store inside a transaction.

A message that nobody here knows is made, with one event: an operator's word. To one that is known a
row adds an event only where it goes further, by rank: what Plivo told us itself is never overruled
by what it told somebody else. So the same table, imported again, changes nothing.

A `sent` that was the last word for long is final by silence at once: most of an old table is that,
and Plivo would be asked about each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from plivostatusd.domain import identity, statuses
from plivostatusd.domain.statuses import Fact, fold
from plivostatusd.store import folding
from plivostatusd.store.folding import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plivostatusd.domain.imported import Imported
    from plivostatusd.store.folding import Found
    from plivostatusd.store.transaction import Transaction


@dataclass(slots=True)
class Taken:
    """How many messages are new, how many known ones learnt something, and how many did not."""

    imported: int = 0
    changed: int = 0
    unchanged: int = 0

    def __iadd__(self, other: Taken) -> Self:
        self.imported += other.imported
        self.changed += other.changed
        self.unchanged += other.unchanged
        return self


def take(
    transaction: Transaction,
    rows: Iterable[tuple[Imported, bytes]],
    now_us: int,
    silent_us: int,
    by: str,
) -> Taken:
    """
    Write *rows* down, each with ten random bytes for the id of a new message.

    Silence is the last word on what was `sent` before *silent_us*.
    """
    taken = Taken()
    for row, random in rows:
        fact = Fact(
            status=row.status,
            source="operator",
            trust="local",
            at_us=row.at_us,
            error_code=row.error_code,
        )
        evidence = Evidence(
            received_us=now_us, message_uuid=row.message_uuid, verified_by=by, sender=row.sender
        )
        message = folding.by_uuid(transaction, row.message_uuid)
        if message is None:
            message_id = identity.message_id(row.created_us, random)
            message = _make(transaction, row, message_id, fact, evidence)
            taken.imported += 1
        elif statuses.rank(row.status) > statuses.rank(message.status):
            folding.add_event(transaction, message, fact, evidence)
            taken.changed += 1
        else:
            taken.unchanged += 1
            continue
        if row.status == statuses.SENT and (row.at_us or row.created_us) < silent_us:
            silence = Fact(status=statuses.SENT, source=statuses.SILENCE, trust="local")
            folding.add_event(transaction, message, silence, Evidence(received_us=now_us))
    return taken


def _make(
    transaction: Transaction, row: Imported, message_id: str, fact: Fact, evidence: Evidence
) -> Found:
    message = folding.make_row(
        transaction,
        message_id,
        row.to,
        fold([fact]),
        evidence,
        text=row.text,
        created_us=row.created_us,
    )
    folding.write_event(transaction, message, fact, evidence)
    return message
