"""
Forgetting a person's number, and the texts that went to it: where they are, and blanking them.

Looking is done by a connection that only reads, stretch by stretch, and blanking in small steps of
the writer's, so that no callback waits. Every row keeps its size (store/folding.py), so that no
copy stays behind; what page splits left of an index's entries goes when the index is built anew.
Counts stay true: statuses, prices, networks and times are kept. So are nonces and digests, which
say nothing of anybody and keep a captured callback from being replayed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from plivostatusd.domain import phone, signature, statuses
from plivostatusd.domain.errors import CallbackUnreadable
from plivostatusd.store import entries, folding, refusals
from plivostatusd.store.spooled import request_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from plivostatusd.store.transaction import Transaction

ROWS_PER_STRETCH: Final = 20_000
ROWS_PER_STEP: Final = 50
FORGOTTEN: Final = "forgotten"
INDEXES: Final = ("messages_by_recipient", "messages_by_sender", "messages_by_tag")
"""What holds numbers, or tags that may, in the order of their keys."""

_MENTIONS: Final = (
    "instr(ifnull(message_body, '') || char(10) || ifnull(tag, '') || char(10)"
    " || ifnull(options, '') || char(10) || ifnull(plivo_error, ''), :digits)"
)
_MESSAGES: Final = f"""
SELECT row, recipient_number = :number, sender_number = :number,
    ifnull(message_body, '') || char(10) || ifnull(tag, '') || char(10)
    || ifnull(options, '') || char(10) || ifnull(plivo_error, '')
FROM messages NOT INDEXED
WHERE row > :after AND row <= :last
    AND (recipient_number = :number OR sender_number = :number OR {_MENTIONS})
"""  # noqa: S608 - words of ours
_EVENTS: Final = """
SELECT row, message, raw FROM events NOT INDEXED
WHERE row > :after AND row <= :last AND raw IS NOT NULL
    AND (message IS NULL OR instr(raw, CAST(:digits AS BLOB)))
"""
_OF_MESSAGE: Final = """
SELECT row, raw FROM events INDEXED BY events_by_message WHERE message = ? AND raw IS NOT NULL
"""
_BLANK: Final = """
UPDATE messages SET
    recipient_number = nullif(recipient_number, :number),
    sender_number = nullif(sender_number, :number),
    message_body = iif(:keeps_text, message_body, NULL),
    options = iif(:keeps_text, options, NULL),
    plivo_error = iif(:keeps_text, plivo_error, NULL),
    tag = iif(instr(tag, :digits), NULL, tag),
    room = zeroblob(max(0, length(room) - 2
        + iif(recipient_number = :number, length(recipient_number), 0)
        + iif(sender_number = :number, length(sender_number), 0)
        + iif(:keeps_text, 0, ifnull(length(CAST(message_body AS BLOB)), 0)
            + ifnull(length(CAST(options AS BLOB)), 0)
            + ifnull(length(CAST(plivo_error AS BLOB)), 0))
        + iif(instr(tag, :digits), length(CAST(tag AS BLOB)), 0)))
WHERE row = :row
"""


@dataclass(frozen=True, slots=True)
class Number:
    """A number in the spellings that are kept: `+14155552323`, and its digits alone."""

    e164: str

    @property
    def digits(self) -> str:
        """The digits, as Plivo writes them."""
        return phone.for_plivo(self.e164)

    @property
    def pattern(self) -> re.Pattern[bytes]:
        """Match it in what people and Plivo write, but not within a longer run of digits."""
        return re.compile(rb"(?<![0-9])" + self.digits.encode() + rb"(?![0-9])")

    def is_in_page(self, content: bytes) -> bool:
        """
        Find it in a page of the store, where the next column's digits may follow at once.

        By hand: a regular expression takes twenty times as long, and the event loop with it.
        """
        digits = self.digits.encode()
        at = content.find(digits)
        while at >= 0:
            before, after = content[at - 1 : at], content[at + len(digits) : at + len(digits) + 1]
            if before == b"+" or not (before.isdigit() or after.isdigit()):
                return True
            at = content.find(digits, at + 1)
        return False


@dataclass(frozen=True, slots=True)
class Place:
    """A message that is to be blanked; *keeps_text*: it went to somebody else, from the number."""

    row: int
    keeps_text: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What one stretch holds; *last_row* is where the next begins, None at the end."""

    messages: list[Place] = field(default_factory=list)
    events: list[int] = field(default_factory=list)
    last_row: int | None = None


@dataclass(frozen=True, slots=True)
class Blanked:
    """What one step did; *busy* are messages whose call to Plivo is on its way: ask again."""

    messages: int = 0
    events: int = 0
    cancelled: int = 0
    still_open: int = 0
    busy: list[Place] = field(default_factory=list)


def find_messages(connection: sqlite3.Connection, number: Number, after: int) -> Found:
    """Find messages to the number, from it, and with it in their text. Raises `sqlite3.Error`."""
    newest = _newest(connection, "messages")
    if after >= newest:
        return Found()
    last = after + ROWS_PER_STRETCH
    rows = connection.execute(_MESSAGES, _terms(number, after, last))
    found = [
        Place(row, keeps_text=bool(is_sender) and not is_recipient and not mentions)
        for row, is_recipient, is_sender, text in rows
        if (mentions := bool(number.pattern.search(text.encode()))) or is_recipient or is_sender
    ]
    return Found(messages=found, last_row=last)


def find_events(connection: sqlite3.Connection, number: Number, after: int) -> Found:
    """Find events that bear the number, whichever message they are of. Raises `sqlite3.Error`."""
    newest = _newest(connection, "events")
    if after >= newest:
        return Found()
    last = after + ROWS_PER_STRETCH
    rows = connection.execute(_EVENTS, _terms(number, after, last))
    found = [row for row, message, raw in rows if _bears(raw, message, number)]
    return Found(events=found, last_row=last)


def _terms(number: Number, after: int, last: int) -> dict[str, object]:
    return {"number": number.e164, "digits": number.digits, "after": after, "last": last}


def _newest(connection: sqlite3.Connection, table: str) -> int:
    (newest,) = connection.execute(f"SELECT ifnull(max(row), 0) FROM {table}").fetchone()  # noqa: S608 - tables of ours
    return int(newest)


def _bears(raw: bytes, message: int | None, number: Number) -> bool:
    if number.pattern.search(raw):
        return True
    return message is None and number.e164 in _numbers(raw)


def _numbers(raw: bytes) -> set[str | None]:
    """Read every value of a request as a number, however it is spelt there."""
    if refusals.is_blank(raw):
        return set()
    try:
        pairs = signature.parameters(request_of(raw))[0]
    except (CallbackUnreadable, ValueError):
        return set()
    return {phone.normalise(value.decode()) for _, value in pairs}


def blank_messages(
    transaction: Transaction, number: Number, places: Sequence[Place], now_us: int, by: str
) -> Blanked:
    """
    Blank some messages with all that arrived of them; a pending send is refused for good.

    A send whose outcome is unknown is looked for no more: a callback on its ref may still tell.
    """
    cancelled, still_open, busy, events = 0, 0, [], 0
    for place in places:
        if not place.keeps_text:
            state = entries.state_of(transaction, place.row)
            if state == "claimed":
                busy.append(place)
                continue
            cancelled += _end(transaction, place.row, state, now_us, by)
            transaction.execute("DELETE FROM asks WHERE message = ?", (place.row,))
        terms = {"number": number.e164, "digits": number.digits, "row": place.row}
        _blank_message(transaction, place.row, {**terms, "keeps_text": place.keeps_text})
        still_open += _is_open(transaction, place.row)
        rows = transaction.execute(_OF_MESSAGE, (place.row,)).fetchall()
        events += _blank_events(transaction, rows)
    return Blanked(len(places) - len(busy), events, cancelled, still_open, busy)


def _blank_message(transaction: Transaction, row: int, terms: dict[str, object]) -> None:
    before = folding.find_row(transaction, row)
    transaction.execute(_BLANK, terms)
    after = folding.find_row(transaction, row)
    if before is not None and after is not None:  # its tag may be gone, by which it is counted
        transaction.count(before.figure, after.figure)


def _end(transaction: Transaction, row: int, state: str | None, now_us: int, by: str) -> bool:
    """Take a send out of the outbox; say whether it will not be sent because of that."""
    if state == statuses.PENDING:
        entries.refuse(transaction, row, FORGOTTEN, now_us, source="operator", by=by)
        return True
    if state is not None:
        entries.forget(transaction, row)
    return False


def _is_open(transaction: Transaction, row: int) -> bool:
    return transaction.one("SELECT final FROM messages WHERE row = ?", (row,)) == (0,)


def blank_events(transaction: Transaction, rows: Sequence[int]) -> int:
    """Blank what arrived with these events, and say of how many it was there still."""
    found = [
        each
        for row in rows
        for each in transaction.execute("SELECT row, raw FROM events WHERE row = ?", (row,))
    ]
    return _blank_events(transaction, found)


def _blank_events(transaction: Transaction, rows: Sequence[tuple[int, bytes | None]]) -> int:
    blanked = [(_blank(raw), row) for row, raw in rows if raw and not refusals.is_blank(raw)]
    transaction.connection.executemany("UPDATE events SET raw = ? WHERE row = ?", blanked)
    return len(blanked)


def _blank(raw: bytes) -> bytes:
    """
    Give zeros in the place of *raw*; only the path that a request came on stays readable.

    That path proves which message it is of (store/binding.py).
    """
    request_line = raw.partition(b"\n")[0]
    path = request_line.partition(b"?")[0] if request_line[:1] in {b"P", b"G"} else b""
    return (b"\0" + path).ljust(len(raw), b"\0")[: len(raw)]


def forget_rest(transaction: Transaction, number: Number) -> int:
    """
    Blank refused callbacks that bear the number, and delete Idempotency-Keys that do.

    Gives how many refused ones that were.
    """
    count = refusals.forget(transaction, number.e164)
    rows = transaction.execute(
        "SELECT row, raw FROM refused WHERE instr(raw, CAST(? AS BLOB))", (number.digits,)
    ).fetchall()
    transaction.connection.executemany(
        "UPDATE refused SET message_uuid = '', raw = zeroblob(length(raw)) WHERE row = ?",
        [(row,) for row, _ in rows],
    )
    transaction.execute("DELETE FROM idempotency WHERE instr(key, ?)", (number.digits,))
    return count + len(rows)


def rebuild_index(transaction: Transaction, name: str) -> None:
    """Build one of `INDEXES` anew: what page splits left of its entries goes with the old one."""
    assert name in INDEXES
    transaction.execute(f"REINDEX {name}")
