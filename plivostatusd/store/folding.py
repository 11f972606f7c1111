"""
Messages and their events inside a transaction: finding, making, joining, and folding again.

Every change of a message's status goes through `add_event` or `make`: the event is written, the set
of the message's facts is folded, and the message's row is made to say what the fold says.

A row of `messages` never grows. SQLite moves rows about when one outgrows its page, and leaves
copies of what it moved in the page's free space, which secure_delete does not wipe: a text that was
blanked would still be in the file. So a row is made with room for what will be learnt of it, and
each UPDATE takes from `room` what it adds elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import compress
from operator import ne
from typing import TYPE_CHECKING, Final, NamedTuple

from plivostatusd.domain import phone
from plivostatusd.domain.asking import CONTESTED, SILENT
from plivostatusd.domain.statuses import Fact, Fold, fold
from plivostatusd.store import asks, counting

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from plivostatusd.store.counting import Key
    from plivostatusd.store.transaction import Row, Transaction

ROOM_BYTES: Final = 256
"""For what is learnt of a send: UUID, statuses, price, network, and Plivo's words on a refusal."""

COLUMNS: Final = (
    *("initial_status", "current_status", "status_timestamp", "error_code", "reason"),
    *("conflict", "final", "final_by", "units", "amount", "mcc", "mnc", "delivery_ms"),
)
"""The derived columns, in the order of `Fold.columns`."""
_DERIVED = ", ".join(COLUMNS)
FACT_COLUMNS: Final = (
    "status, source, trust, sequence, at, error_code, reason, units, amount, mcc, mnc"
)
"""Those of an event that the fold looks at, in the order of `Fact`'s fields."""
_FACTS = f"SELECT {FACT_COLUMNS} FROM events WHERE message = ? AND aside IS NULL"  # noqa: S608 - words of ours
_HISTORY = f"SELECT nonces, digest, aside, {FACT_COLUMNS} FROM events WHERE message = ?"  # noqa: S608 - words of ours
# In the order of Found's fields, but for the derived columns, which come first there.
_MESSAGE = f"""
SELECT row, id, message_uuid, ref IS NOT NULL, sender_number, created_at, country, tag, {_DERIVED}
FROM messages WHERE
"""  # noqa: S608 - words of ours
_BEFORE_DERIVED = 8
_BY_ROW = f"{_MESSAGE} row = ?"
_BY_ID = f"{_MESSAGE} id = ?"
_BY_REF = f"{_MESSAGE} ref = ?"
_BY_ALIAS = f"{_MESSAGE} row = (SELECT message FROM aliases WHERE id = ?1)"  # noqa: S608 - words of ours
_BY_UUID = f"{_MESSAGE} message_uuid = ?1 UNION ALL {_BY_ALIAS} LIMIT 1"

_INSERT_EVENT = f"""
INSERT INTO events ({FACT_COLUMNS}, message, received_at, status_after, aside, message_uuid,
                    verified_by, nonces, digest, raw)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""  # noqa: S608 - words of ours
_INSERT_MESSAGE = f"""
INSERT INTO messages ({_DERIVED}, updated_at, id, message_uuid, sender_number, recipient_number,
                      country, created_at, message_body, room)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, zeroblob(80))
"""  # noqa: S608 - words of ours
_FILL_IN = """
UPDATE messages
SET {} = ?1, room = zeroblob(max(0, length(room) - length(CAST(?1 AS BLOB)))) WHERE row = ?2
"""
_LEARN_UUID = _FILL_IN.format("message_uuid")
_LEARN_SENDER = _FILL_IN.format("sender_number")
_NOTE_CALLS = """
UPDATE messages SET calls = ?1, called_at = ?2,
    room = zeroblob(max(0, length(room) - iif(calls IS NULL, 16, 0))) WHERE row = ?3
"""
_NOTE_ERROR = _FILL_IN.format("plivo_error")
_NOTE_STATUS = _FILL_IN.format("plivo_status")
_DELETE = f"DELETE FROM messages WHERE row = ? RETURNING {counting.COLUMNS}"  # noqa: S608 - words of ours


@dataclass(slots=True)
class Found:
    """
    A message's row as a job needs it. *is_ours*: we sent it, so it has a ref.

    *columns* are the derived ones. *whole* is set once it was folded in this job.
    """

    columns: Row
    row: int
    id: str
    message_uuid: str | None
    is_ours: bool
    sender: str | None
    created_us: int
    country: str | None
    tag: str | None
    whole: Fold | None = None

    @property
    def status(self) -> str:
        """What the row says of the message's status."""
        status: str = self.columns[1]
        return status

    @property
    def figure(self) -> Key:
        """Where the message is counted."""
        _, status, _, error_code, _, _, _, _, _, _, mcc, mnc, delivery_ms = self.columns
        return counting.key(
            (self.created_us, status, self.country, self.tag, mcc, mnc, error_code, delivery_ms)
        )


@dataclass(slots=True, kw_only=True)  # not frozen: one a callback, made in half the time
class Evidence:
    """What of an event the merge rule does not look at: where it came from, and its bytes."""

    received_us: int
    message_uuid: str | None = None
    verified_by: str | None = None
    nonces: tuple[str, ...] = ()
    digest: bytes | None = None
    raw: bytes | None = None
    sender: str | None = None
    aside: str | None = None


class History(NamedTuple):
    """What a message's events say (*facts*, of those that count), and what each of them bore."""

    facts: list[Fact]
    bore: list[tuple[str | None, bytes]]

    def digests(self, nonces: Iterable[str]) -> set[bytes]:
        """Give the digests under which one of *nonces* was borne."""
        given = set(nonces)
        return {digest for each, digest in self.bore if each and not given.isdisjoint(each.split())}


def _found(row: Row | None) -> Found | None:
    return Found(row[_BEFORE_DERIVED:], *row[:_BEFORE_DERIVED]) if row else None


def by_ref(transaction: Transaction, ref: str) -> Found | None:
    """Find the message whose callback path holds *ref*."""
    return _found(transaction.one(_BY_REF, (ref,)))


def by_uuid(transaction: Transaction, message_uuid: str) -> Found | None:
    """Find a message by Plivo's id, or by a second one that came on its ref."""
    return _found(transaction.one(_BY_UUID, (message_uuid,)))


def find_row(transaction: Transaction, row: int) -> Found | None:
    """Find a message by its row, which may be gone."""
    return _found(transaction.one(_BY_ROW, (row,)))


def by_row(transaction: Transaction, row: int) -> Found:
    """Find a message that is known to exist."""
    message = find_row(transaction, row)
    assert message is not None
    return message


def by_id(transaction: Transaction, message_id: str) -> Found | None:
    """Find a message by our id, an alias of it, or Plivo's id."""
    found = transaction.one(_BY_ID, (message_id,))
    return _found(found) or by_uuid(transaction, message_id)


def heard_us(transaction: Transaction, message: Found) -> int:
    """Say when we first heard the status that *message* has."""
    (first_us,) = transaction.execute(
        "SELECT coalesce(min(received_at), 0) FROM events"
        " WHERE message = ? AND coalesce(status, 'queued') = ? AND aside IS NULL",
        (message.row, message.status),
    ).fetchone()
    return int(first_us)


def facts_of(transaction: Transaction, row: int) -> Fold:
    """Fold everything that counts for the message in *row*."""
    return fold(_facts(transaction, row))


def _facts(transaction: Transaction, row: int) -> list[Fact]:
    return [Fact(*each) for each in transaction.all(_FACTS, (row,))]


def history_of(transaction: Transaction, message: Found) -> History:
    """Read everything that is kept of *message*."""
    events = transaction.all(_HISTORY, (message.row,))
    return History(
        [Fact(*fact) for _, _, aside, *fact in events if aside is None],
        [each[:2] for each in events],
    )


def make(
    transaction: Transaction,
    message_id: str,
    recipient: str | None,
    fact: Fact,
    evidence: Evidence,
) -> tuple[Found, int]:
    """Make the row of a message of which *fact* is the first we hear; its event's cursor, too."""
    message = make_row(transaction, message_id, recipient, fold([fact]), evidence)
    return message, write_event(transaction, message, fact, evidence)


def make_row(  # noqa: PLR0913 - two more where it began elsewhere
    transaction: Transaction,
    message_id: str,
    recipient: str | None,
    whole: Fold,
    evidence: Evidence,
    *,
    text: str | None = None,
    created_us: int | None = None,
) -> Found:
    """
    Make the row of a message that is not ours, of which *whole* is known.

    *created_us* is when it began, if that was before we heard of it.
    """
    columns = whole.columns
    country = phone.calling_code(recipient)
    created_us = evidence.received_us if created_us is None else created_us
    row = transaction.insert(
        _INSERT_MESSAGE,
        (
            *columns,
            evidence.received_us,
            message_id,
            evidence.message_uuid,
            evidence.sender,
            recipient,
            country,
            created_us,
            text,
        ),
    )
    message = Found(
        row=row,
        id=message_id,
        message_uuid=evidence.message_uuid,
        is_ours=False,
        sender=evidence.sender,
        created_us=created_us,
        country=country,
        tag=None,
        columns=columns,
        whole=whole,
    )
    transaction.count(None, message.figure)
    return message


def add_event(
    transaction: Transaction,
    message: Found | None,
    fact: Fact,
    evidence: Evidence,
    *,
    known: Sequence[Fact] | None = None,
) -> int:
    """
    Write an event and fold it into *message*; its row number, which is its cursor, comes back.

    Without a message, and for an event kept aside, nothing is folded. *known* is what the message's
    events say, if the caller has read it.
    """
    if message is None:
        return _write_event(transaction, None, None, fact, evidence)
    if evidence.aside is None:
        before = _facts(transaction, message.row) if known is None else known
        _update(transaction, message, fold([*before, fact]), evidence.received_us)
        learn_sender(transaction, message, evidence.sender)
    return _write_event(transaction, message.row, message.status, fact, evidence)


def write_event(transaction: Transaction, message: Found, fact: Fact, evidence: Evidence) -> int:
    """Write an event that *message* was made with; its cursor comes back."""
    return _write_event(transaction, message.row, message.status, fact, evidence)


def _write_event(
    transaction: Transaction, row: int | None, after: str | None, fact: Fact, evidence: Evidence
) -> int:
    return transaction.insert(
        _INSERT_EVENT,
        (
            *fact,
            row,
            evidence.received_us,
            after,
            evidence.aside,
            evidence.message_uuid,
            evidence.verified_by,
            " ".join(evidence.nonces) or None,
            evidence.digest,
            evidence.raw,
        ),
    )


def _growth(before: Iterable[object], after: Iterable[object]) -> int:
    """Say by how many bytes columns may grow at most: a text by its length, a number takes 8."""
    return sum(map(_bytes, after)) - sum(map(_bytes, before))


def _bytes(value: object) -> int:
    return len(value) if isinstance(value, str) else 8 * (value is not None)


def fold_again(transaction: Transaction, message: Found, now_us: int) -> None:
    """
    Make the row of *message* say what its events say, after they became others.

    One that is open again is asked about: those who go along the silent have passed it.
    """
    was_final = transaction.one("SELECT final FROM messages WHERE row = ?", (message.row,))
    whole = facts_of(transaction, message.row)
    _update(transaction, message, whole, now_us)
    if was_final == (1,) and not whole.final and message.message_uuid is not None:
        asks.note(transaction, message.row, SILENT)


def _update(transaction: Transaction, message: Found, whole: Fold, now_us: int) -> None:
    """Make the row of *message* say what *whole* says."""
    figure = message.figure
    before, after = message.columns, whole.columns
    changed = tuple(map(ne, before, after))
    values = list(compress(after, changed))
    growth = _growth(compress(before, changed), values)
    transaction.run(_update_of(changed), (*values, now_us, growth, message.row))
    message.columns = after
    message.whole = whole
    transaction.count(figure, message.figure)
    if whole.contested:
        asks.note(transaction, message.row, CONTESTED)
    elif whole.final:
        asks.answer_silence(transaction, message.row)


@lru_cache(maxsize=128)
def _update_of(changed: tuple[bool, ...]) -> str:
    """
    Spell the UPDATE that sets the derived columns that *changed*, in their order.

    Those alone: SQLite takes a row out of each index of which a column is named, and puts it back.
    """
    names = "".join(f"{name} = ?, " for name in compress(COLUMNS, changed))
    return (
        f"UPDATE messages SET {names}updated_at = ?,"  # noqa: S608 - words of ours
        " room = zeroblob(max(0, length(room) - ?)) WHERE row = ?"
    )


def delete(transaction: Transaction, row: int) -> None:
    """Delete the message in *row*, to which nothing points any more."""
    for columns in transaction.all(_DELETE, (row,)):
        transaction.count(counting.key(columns), None)


def learn_uuid(transaction: Transaction, message: Found, message_uuid: str) -> None:
    """Fill in Plivo's name of a message that had none."""
    transaction.execute(_LEARN_UUID, (message_uuid, message.row))
    message.message_uuid = message_uuid


def learn_sender(transaction: Transaction, message: Found, sender: str | None) -> None:
    """Fill in who sends where none was named: of a Powerpack's numbers Plivo chooses one."""
    if message.sender is None and sender is not None:
        transaction.execute(_LEARN_SENDER, (sender, message.row))
        message.sender = sender


def note_calls(transaction: Transaction, row: int, attempts: int, called_us: int | None) -> None:
    """Keep how often Plivo was called, and when the last call began."""
    transaction.execute(_NOTE_CALLS, (attempts, called_us, row))


def note_refusal(
    transaction: Transaction, row: int, plivo_status: int, plivo_error: str | None
) -> None:
    """Keep Plivo's HTTP status and words, which are no part of the fold."""
    transaction.execute(_NOTE_STATUS, (plivo_status, row))
    transaction.execute(_NOTE_ERROR, (plivo_error, row))
