"""
Saving what can still be read of a damaged store into a new one.

Every table is gone along by its key, past what SQLite cannot make sense of: a damaged page costs
the rows on it, and an index that is damaged costs nothing. Refused callbacks and uses of tokens are
left behind. The damaged file is a copy by then, and is only read. Blocks for as long as it takes;
used by `plivostatusd --restore FILE --salvage`.

Why not SQLite's own `.recover`: Debian 12's sqlite3 is built without what that needs (it ends with
"SQL logic error" on any database; tried 2026-11).
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from plivostatusd.store import database, nonce_runs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# In the order in which they may point at each other. Tallies are counted anew.
_BY_ROW: Final = (
    "messages",
    "events",
    "outbox",
    "asks",
    "sends_by_day",
    "nonces",
    "nonce_runs",
    "nonce_pages",
)
_BY_KEY: Final = {
    "aliases": "id",
    "idempotency": "scope, key",
    "facts": "name",
}
_ROWS_PER_STEP: Final = 500
_STEPS_AHEAD: Final = 62


@dataclass(slots=True)
class Salvaged:
    """How many rows were saved of each table, and in how many places rows were lost."""

    rows: dict[str, int] = field(default_factory=dict)
    holes: int = 0


def salvage(damaged: Path, target: Path) -> Salvaged:
    """
    Make a new store at *target* of what can be read in *damaged*.

    Raises `sqlite3.DatabaseError` when not even the schema can be read.
    """
    saved = Salvaged()
    with (
        closing(sqlite3.connect(damaged)) as old,
        closing(database.connect_writer(target, copies=False)) as new,
    ):
        new.execute("PRAGMA foreign_keys = OFF")
        new.execute("BEGIN IMMEDIATE")
        new.execute("DELETE FROM facts")
        for table in (*_BY_ROW, *_BY_KEY):
            columns = _columns(old, table) & _columns(new, table)
            if table == "nonces" and "entries" not in columns:
                nonce_runs.file_older(new, _older_nonces(old, saved))
                continue
            saved.rows[table] = _copy(old, new, table, sorted(columns), saved)
        _keep_numbers(new)
        new.execute("COMMIT")
    return saved


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


def _copy(
    old: sqlite3.Connection,
    new: sqlite3.Connection,
    table: str,
    columns: list[str],
    saved: Salvaged,
) -> int:
    if not columns:
        saved.holes += 1
        return 0
    names = ", ".join(columns)
    marks = ", ".join("?" * len(columns))
    key = _BY_KEY.get(table)
    walk = _keys(old, table, names, saved, key=key) if key else _rows(old, table, names, saved)
    count = 0
    for row in walk:
        try:
            count += new.execute(
                f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})",  # noqa: S608 - ours
                row,
            ).rowcount
        except (sqlite3.IntegrityError, sqlite3.DataError):
            saved.holes += 1  # what was read is nonsense: a damaged page may look like a good one
    return count


def _rows(
    old: sqlite3.Connection, table: str, names: str, saved: Salvaged
) -> Iterator[tuple[Any, ...]]:
    """Give the rows of a table by their numbers, past what cannot be read."""
    sql = f"SELECT rowid, {names} FROM {table} NOT INDEXED WHERE rowid > ? ORDER BY rowid LIMIT ?"  # noqa: S608 - ours
    after, size = -1, _ROWS_PER_STEP
    while True:
        try:
            found = old.execute(sql, (after, size)).fetchall()
        except sqlite3.DatabaseError:
            if size > 1:
                size = 1  # what stands before the damage on the same stretch can be read
                continue
            saved.holes += 1
            resumed = _next_readable(old, table, after)
            if resumed is None:
                return
            after, size = resumed - 1, _ROWS_PER_STEP
            continue
        for number, *row in found:
            yield tuple(row)
            after = number
        if len(found) < size:
            return
        size = min(size * 2, _ROWS_PER_STEP)


def _next_readable(old: sqlite3.Connection, table: str, after: int) -> int | None:
    """Find the first number behind *after* from which on rows can be read again."""
    sql = f"SELECT rowid FROM {table} NOT INDEXED WHERE rowid >= ? ORDER BY rowid LIMIT 1"  # noqa: S608 - ours

    def found(at: int) -> int | None:
        try:
            row = old.execute(sql, (at,)).fetchone()
        except sqlite3.DatabaseError:
            return None
        return row[0] if row else None

    for step in range(1, _STEPS_AHEAD):
        number = found(after + (1 << step))
        if number is None:
            continue
        bad, good = after + (1 << (step - 1)), number
        while good - bad > 1:
            middle = (bad + good) // 2
            number = found(middle)
            bad, good = (middle, good) if number is None else (bad, min(number, middle))
        return good
    return None


def _older_nonces(
    old: sqlite3.Connection, saved: Salvaged
) -> Iterator[tuple[str, bytes, str, int]]:
    """Give the nonces of a store up to schema 5, nonsense left out."""
    kinds = (str, bytes, str, int)
    for row in _keys(old, "nonces", "nonce, digest, key, seen_at", saved, key="nonce, digest"):
        if all(map(isinstance, row, kinds)) and len(row[1]) >= nonce_runs.HASH_BYTES:
            yield row
        else:
            saved.holes += 1


def _keys(
    old: sqlite3.Connection, table: str, names: str, saved: Salvaged, *, key: str
) -> Iterator[tuple[Any, ...]]:
    """Give the rows of a table by its *key*: from both ends, up to what cannot be read."""
    backwards = ", ".join(f"{name} DESC" for name in key.split(", "))
    for order in (key, backwards):
        sql = f"SELECT {names} FROM {table} NOT INDEXED ORDER BY {order}"  # noqa: S608 - ours
        try:
            yield from old.execute(sql)
        except sqlite3.DatabaseError:
            saved.holes += 1
        else:
            return


def _keep_numbers(new: sqlite3.Connection) -> None:
    """Use no row's number again that may have been lost: a cursor keeps its meaning."""
    for table in ("messages", "events"):
        new.execute("UPDATE sqlite_sequence SET seq = seq + 1000000 WHERE name = ?", (table,))
