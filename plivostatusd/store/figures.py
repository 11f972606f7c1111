"""
Messages counted by what people ask for: what `stats` reads, and the proof that it is right.

The table `figures` is kept by `counting`; nothing else writes it but `recount`. What it cannot
answer (a part of a day, a number, a sender) is counted from the messages themselves. On a
connection that only reads. Blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from plivostatusd.store.transaction import Transaction

DAY_US: Final = 86_400_000_000
UNKNOWN_TOOK: Final = -1
PARTS: Final = ("day", "status", "country", "tag", "carrier", "error")
"""What messages can be told apart by."""

_KEY: Final = (
    "created_at / 86400000000, current_status, ifnull(country, ''), ifnull(tag, ''),"
    " ifnull(mcc, ''), ifnull(mnc, ''), ifnull(error_code, ''), ifnull(took, -1)"
)
_COUNTED: Final = f"SELECT {_KEY}, count(*) FROM messages"  # noqa: S608 - words of ours
_GROUPED: Final = "GROUP BY 1, 2, 3, 4, 5, 6, 7, 8"
_LATEST_US: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """
    Which messages are counted; None means any.

    *columns* are those of `messages` that must hold a value, by name. *part* is what they are told
    apart by, one of `PARTS`; None: not at all.
    """

    columns: dict[str, Any]
    since_us: int | None = None
    until_us: int | None = None
    part: str | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """*n* messages of one *part* that have *status*; *took* ms to be delivered, or -1."""

    part: Any
    status: str
    took: int
    n: int


def recount(transaction: Transaction) -> None:
    """Count all messages anew."""
    transaction.write_counts()  # of jobs before this one, which are in the rows already
    transaction.execute("DELETE FROM figures")
    transaction.execute(f"INSERT INTO figures {_COUNTED} {_GROUPED}")


def recount_day(transaction: Transaction, day: int) -> None:
    """Count the messages of one day anew."""
    transaction.write_counts()
    transaction.execute("DELETE FROM figures WHERE day = ?", (day,))
    transaction.execute(
        f"INSERT INTO figures {_COUNTED} WHERE created_at >= ? AND created_at < ? {_GROUPED}",
        (day * DAY_US, (day + 1) * DAY_US),
    )


def differing_days(connection: sqlite3.Connection) -> list[int]:
    """Name the days whose figures are not what a recount finds. Raises `sqlite3.Error`."""
    counted = f"{_COUNTED} {_GROUPED}"
    rows = connection.execute(
        f"SELECT * FROM (SELECT * FROM figures EXCEPT {counted})"  # noqa: S608 - words of ours
        f" UNION ALL SELECT * FROM (SELECT * FROM ({counted}) EXCEPT SELECT * FROM figures)"
    )
    return sorted({row[0] for row in rows})


def count(connection: sqlite3.Connection, wanted: Wanted) -> list[Figure]:
    """
    Count what is *wanted*, in one snapshot of the store. Raises `sqlite3.Error`.

    One part and status may come twice, from whole days and from what lies beside them.
    """
    connection.execute("BEGIN")
    try:
        return [
            Figure(*row)
            for sql, arguments in _questions(wanted)
            for row in connection.execute(sql, arguments)
        ]
    finally:
        if connection.in_transaction:
            connection.execute("COMMIT")


Question = tuple[str, tuple[Any, ...]]

_OF_FIGURES: Final = {
    "current_status": "status",
    "tag": "tag",
    "mcc": "mcc",
    "mnc": "mnc",
    "error_code": "error",
    "country": "country",
}
_PARTS_OF_FIGURES: Final = {
    None: "NULL",
    "day": "day",
    "status": "status",
    "country": "nullif(country, '')",
    "tag": "nullif(tag, '')",
    "carrier": "nullif(mcc || '-' || mnc, '-')",
    "error": "nullif(error, '')",
}
_PARTS_OF_MESSAGES: Final = {
    None: "NULL",
    "day": "created_at / 86400000000",
    "status": "current_status",
    "country": "country",
    "tag": "tag",
    "carrier": "nullif(ifnull(mcc, '') || '-' || ifnull(mnc, ''), '-')",
    "error": "error_code",
}
_INDEXES: Final = {
    "recipient_number": "messages_by_recipient",
    "sent_by": "messages_by_sent_by",
    "sender_number": "messages_by_sender",
}


def _questions(wanted: Wanted) -> Iterator[Question]:
    """Split what is wanted into whole days, which `figures` knows, and what lies beside them."""
    since_us = wanted.since_us or 0
    until_us = _LATEST_US if wanted.until_us is None else wanted.until_us
    if not wanted.columns.keys() <= _OF_FIGURES.keys():
        yield _of_messages(wanted, since_us, until_us)
        return
    first, end = -(-since_us // DAY_US), until_us // DAY_US
    if first >= end:
        yield _of_messages(wanted, since_us, until_us)
        return
    yield _of_days(wanted, first, end)
    if since_us < first * DAY_US:
        yield _of_messages(wanted, since_us, first * DAY_US)
    if end * DAY_US < until_us < _LATEST_US:
        yield _of_messages(wanted, end * DAY_US, until_us)


def _of_days(wanted: Wanted, first: int, end: int) -> Question:
    conditions = ["day >= ?", "day < ?", *(f"{_OF_FIGURES[name]} = ?" for name in wanted.columns)]
    sql = f"SELECT {_PARTS_OF_FIGURES[wanted.part]}, status, took, sum(n) FROM figures"  # noqa: S608 - words of ours
    return _grouped(sql, conditions), (first, end, *wanted.columns.values())


def _of_messages(wanted: Wanted, since_us: int, until_us: int) -> Question:
    index = next(
        (index for name, index in _INDEXES.items() if name in wanted.columns), "messages_by_time"
    )
    conditions = ["created_at >= ?", "created_at < ?", *(f"{name} = ?" for name in wanted.columns)]
    part = _PARTS_OF_MESSAGES[wanted.part]
    sql = (
        f"SELECT {part}, current_status, ifnull(took, -1), count(*)"  # noqa: S608 - words of ours
        f" FROM messages INDEXED BY {index}"
    )
    return _grouped(sql, conditions), (since_us, until_us, *wanted.columns.values())


def _grouped(sql: str, conditions: list[str]) -> str:
    return f"{sql} WHERE {' AND '.join(conditions)} GROUP BY 1, 2, 3"
