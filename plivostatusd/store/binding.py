"""
Which of Plivo's UUIDs is which message's, inside a transaction.

What comes under a message's own ref, or as the answer to its call, proves that a UUID is its own. A
UUID that was only inferred from Plivo's list gives way to that: it is taken from whoever has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from plivostatusd.domain.asking import DOUBTED, SILENT
from plivostatusd.domain.statuses import Fact, fold
from plivostatusd.store import asks, folding, watching
from plivostatusd.store.folding import Evidence

if TYPE_CHECKING:
    from plivostatusd.store.folding import Found
    from plivostatusd.store.transaction import Transaction

DUPLICATE_AT_PLIVO: Final = "duplicate_at_plivo"
UUID_OF_ANOTHER: Final = "uuid_of_another"
INFERENCE_WRONG: Final = "inference_wrong"

_OF_UUID = "FROM events WHERE message = ? AND message_uuid = ? AND aside IS NULL"
# A callback proves whose it is by the ref in its path; on the bare path it speaks of a UUID alone.
_PROOFS = """
SELECT source = 'inferred', source IN ('send', 'operator')
    OR source = 'callback' AND instr(raw, CAST(ref AS BLOB)) > 0
FROM events JOIN messages ON messages.row = events.message
WHERE events.message = ? AND events.message_uuid = ? AND aside IS NULL
"""


class Binding(NamedTuple):
    """
    What came of it: a *remark* for the log, None when all is as it should be.

    *freed* is a send of ours that had this UUID by inference, and whose own nobody knows again.
    """

    remark: str | None = None
    freed: Found | None = None


def bind(
    transaction: Transaction,
    message: Found,
    message_uuid: str,
    now_us: int,
    *,
    spare_id: str | None,
) -> Binding:
    """
    Say that *message* is Plivo's *message_uuid*, on proof.

    A row that a callback made for the same UUID is joined to *message*, whose id lives. Two sends
    of ours are never joined: what speaks of *message* proves nothing about another one whose UUID
    it names. *spare_id* is for the row of a UUID that had only been inferred to be *message*'s;
    None for a send that is not settled, which has none.
    """
    if message.message_uuid == message_uuid:
        return Binding()
    if message.message_uuid is not None and not _is_inferred(transaction, message):
        return _note_duplicate(transaction, message, message_uuid)
    other = folding.by_uuid(transaction, message_uuid)
    has_it = other is not None and other.message_uuid == message_uuid
    if other and has_it and other.is_ours and not _is_inferred(transaction, other):
        return Binding(UUID_OF_ANOTHER)
    remark = None
    if message.message_uuid is not None:
        assert spare_id is not None
        _let_go(transaction, message, spare_id, now_us)
        remark = INFERENCE_WRONG
    if other and not has_it:  # it had come on the ref of another, as a second one
        transaction.execute("DELETE FROM aliases WHERE id = ?", (message_uuid,))
    elif other and not other.is_ours:
        _join(transaction, other, message, now_us)
    elif other:
        _take(transaction, other, message, message_uuid, now_us)
        return Binding(INFERENCE_WRONG, freed=other)
    folding.learn_uuid(transaction, message, message_uuid)
    return Binding(remark)


def is_free(transaction: Transaction, message_uuid: str) -> bool:
    """Say whether no message has this UUID, be it as a second one."""
    return folding.by_uuid(transaction, message_uuid) is None


def _is_inferred(transaction: Transaction, message: Found) -> bool:
    """Say whether nothing but an inference says that a message has the UUID that it has."""
    events = transaction.execute(_PROOFS, (message.row, message.message_uuid)).fetchall()
    return any(inferred for inferred, _ in events) and not any(proven for _, proven in events)


def _note_duplicate(transaction: Transaction, message: Found, message_uuid: str) -> Binding:
    is_known = folding.by_uuid(transaction, message_uuid) is not None
    transaction.execute("UPDATE messages SET duplicate_at_plivo = 1 WHERE row = ?", (message.row,))
    if not is_known:
        transaction.execute("INSERT INTO aliases VALUES (?, ?)", (message_uuid, message.row))
    return Binding(DUPLICATE_AT_PLIVO)


def _join(transaction: Transaction, loser: Found, survivor: Found, now_us: int) -> None:
    """Give *survivor* everything of *loser*, whose id becomes an alias."""
    execute = transaction.execute
    execute("UPDATE events SET message = ? WHERE message = ?", (survivor.row, loser.row))
    execute("UPDATE aliases SET message = ? WHERE message = ?", (survivor.row, loser.row))
    asks.pass_on(transaction, loser.row, survivor.row)
    folding.delete(transaction, loser.row)
    execute("INSERT INTO aliases VALUES (?, ?)", (loser.id, survivor.row))
    folding.fold_again(transaction, survivor, now_us)
    folding.learn_sender(transaction, survivor, loser.sender)


def _let_go(transaction: Transaction, message: Found, spare_id: str, now_us: int) -> None:
    """Make a row of its own for the UUID that *message* had by inference, with what came of it."""
    message_uuid = message.message_uuid
    (recipient,) = transaction.execute(
        "SELECT recipient_number FROM messages WHERE row = ?", (message.row,)
    ).fetchone()
    facts = transaction.execute(
        f"SELECT {folding.FACT_COLUMNS} {_OF_UUID}",
        (message.row, message_uuid),
    )
    whole = fold(map(Fact._make, facts.fetchall()))
    _strip(transaction, message)
    evidence = Evidence(received_us=now_us, message_uuid=message_uuid, sender=message.sender)
    own = folding.make_row(transaction, spare_id, recipient, whole, evidence)
    _move(transaction, message, own, message_uuid)
    for each in (own, message):
        folding.fold_again(transaction, each, now_us)
    if whole.doubted or not whole.final:
        asks.note(transaction, own.row, DOUBTED if whole.doubted else SILENT)
    watching.catch_up(transaction, message.row)


def _take(
    transaction: Transaction, other: Found, message: Found, message_uuid: str, now_us: int
) -> None:
    """Give *message* the UUID that *other* had by inference, with what came of it."""
    _strip(transaction, other)
    _move(transaction, other, message, message_uuid)
    folding.learn_uuid(transaction, message, message_uuid)
    folding.fold_again(transaction, other, now_us)
    folding.fold_again(transaction, message, now_us)


def _strip(transaction: Transaction, message: Found) -> None:
    """Take its UUID from a message; the row keeps its size (store/folding.py)."""
    transaction.execute(
        "UPDATE messages SET message_uuid = NULL, room = zeroblob(length(room) +"
        " length(CAST(message_uuid AS BLOB))) WHERE row = ?",
        (message.row,),
    )
    message.message_uuid = None


def _move(transaction: Transaction, old: Found, new: Found, message_uuid: str | None) -> None:
    transaction.execute(
        "UPDATE events SET message = ?3 WHERE message = ?1 AND message_uuid = ?2",
        (old.row, message_uuid, new.row),
    )
