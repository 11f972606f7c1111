"""
Comparing each message's row with what its events say, on a connection that only reads.

A row is always what the fold of its events says; here is the proof, or the exception. Every stretch
is read in one transaction, so that what is recorded meanwhile makes no difference. Blocks.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from plivostatusd.domain.statuses import Fact, fold
from plivostatusd.store.folding import COLUMNS, FACT_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS_PER_STRETCH: Final = 1_000

_MESSAGES: Final = f"SELECT row, id, {', '.join(COLUMNS)} FROM messages"  # noqa: S608 - ours
_NAMED: Final = (
    "coalesce((SELECT row FROM messages WHERE id = ?1),"
    " (SELECT row FROM messages WHERE message_uuid = ?1),"
    " (SELECT message FROM aliases WHERE id = ?1))"
)
_EVENTS: Final = (
    f"SELECT message, {FACT_COLUMNS} FROM events INDEXED BY events_by_message"  # noqa: S608 - ours
    " WHERE aside IS NULL AND message"
)


@dataclass(frozen=True, slots=True)
class Difference:
    """A column of a message that does not hold what the message's events say."""

    row: int
    message_id: str
    column: str
    stored: Any
    folded: Any


@dataclass(frozen=True, slots=True)
class Stretch:
    """What was found in one stretch; *last_row* is None at the end of the store."""

    compared: int
    differences: list[Difference]
    last_row: int | None


def connect(path: Path) -> sqlite3.Connection:
    """Open the store for looking. Raises `sqlite3.Error`."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
    )


def compare(connection: sqlite3.Connection, after_row: int) -> Stretch:
    """Compare a stretch of messages behind *after_row*. Raises `sqlite3.Error`."""
    connection.execute("BEGIN")
    try:
        messages = connection.execute(
            f"{_MESSAGES} WHERE row > ? ORDER BY row LIMIT ?", (after_row, ROWS_PER_STRETCH)
        ).fetchall()
        if not messages:
            return Stretch(0, [], None)
        last_row = messages[-1][0]
        events = connection.execute(
            f"{_EVENTS} BETWEEN ? AND ? ORDER BY message", (messages[0][0], last_row)
        )
        found = _compare(messages, events)
    finally:
        connection.execute("COMMIT")
    return Stretch(len(messages), found, last_row)


def compare_one(connection: sqlite3.Connection, message_id: str) -> Stretch | None:
    """Compare one message by our id or Plivo's; None without one. Raises `sqlite3.Error`."""
    connection.execute("BEGIN")
    try:
        messages = connection.execute(f"{_MESSAGES} WHERE row = {_NAMED}", (message_id,)).fetchall()
        if not messages:
            return None
        events = connection.execute(f"{_EVENTS} = ?", (messages[0][0],))
        return Stretch(1, _compare(messages, events), None)
    finally:
        connection.execute("COMMIT")


def _compare(messages: list[tuple[Any, ...]], events: Iterator[Any]) -> list[Difference]:
    """Compare rows with the folds of their events, both in the order of the rows."""
    folds = {
        row: fold(Fact._make(event[1:]) for event in group).columns
        for row, group in groupby(events, key=itemgetter(0))
    }
    nothing = fold(()).columns
    differences: list[Difference] = []
    for row, message_id, *stored in messages:
        folded = folds.get(row, nothing)
        if tuple(stored) != folded:
            differences += [
                Difference(row, message_id, column, was, _as_stored(is_))
                for column, was, is_ in zip(COLUMNS, stored, folded, strict=True)
                if was != is_
            ]
    return differences


def _as_stored(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value
