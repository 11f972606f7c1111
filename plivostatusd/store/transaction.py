"""What a job sees of the transaction it runs in. Lives on the writer's thread, for one batch."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, cast

from plivostatusd.store import counting

if TYPE_CHECKING:
    import sqlite3

    from plivostatusd.store.counting import Key

Row = tuple[Any, ...]


Counts = tuple[Counter[str], Counter["Key"]]


class Transaction:
    """
    One open transaction: its statements, and the counts that change with it.

    A job raises a `Refusal` only before its first write: its neighbours' transaction goes on. What
    is counted is written once for all jobs, before COMMIT: they share most of their rows.
    """

    __slots__ = ("_cursor", "_figures", "_tallies", "connection", "execute")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.execute = connection.execute
        self._cursor = (
            connection.cursor()
        )  # one for what is fetched at once: they cost more than that
        self._tallies: Counter[str] = Counter()
        self._figures: Counter[Key] = Counter()

    def one(self, sql: str, arguments: tuple[object, ...] = ()) -> Row | None:
        """Give the first row of a query, or None."""
        row: Row | None = self._cursor.execute(sql, arguments).fetchone()
        return row

    def all(self, sql: str, arguments: tuple[object, ...] = ()) -> list[Row]:
        """Give all rows of a query."""
        return self._cursor.execute(sql, arguments).fetchall()

    def run(self, sql: str, arguments: tuple[object, ...]) -> None:
        """Run a statement that gives nothing back."""
        self._cursor.execute(sql, arguments)

    def insert(self, sql: str, arguments: tuple[object, ...]) -> int:
        """Insert one row and give its number."""
        return cast("int", self._cursor.execute(sql, arguments).lastrowid)

    def move(self, before: str | None, after: str | None) -> None:
        """Count one thing fewer as *before* and one more as *after*."""
        if before == after:
            return
        if before is not None:
            self._tallies[before] -= 1
        if after is not None:
            self._tallies[after] += 1

    def count(self, before: Key | None, after: Key | None) -> None:
        """Count one message fewer as *before* and one more as *after*, by its status, too."""
        if before == after:
            return
        if before is not None:
            self._figures[before] -= 1
        if after is not None:
            self._figures[after] += 1
        self.move(before and before[1], after and after[1])

    def tally(self, name: str) -> int:
        """Count what stands as *name*, this transaction's own moves included."""
        row = self.one("SELECT n FROM tallies WHERE name = ?", (name,))
        return (row[0] if row else 0) + self._tallies[name]

    def write_counts(self) -> None:
        """Make what was counted last; the writer calls it once, before COMMIT."""
        for name, difference in self._tallies.items():
            if difference:
                self.execute(
                    "INSERT INTO tallies VALUES (?1, ?2)"
                    " ON CONFLICT (name) DO UPDATE SET n = n + ?2",
                    (name, difference),
                )
        self._tallies.clear()
        counting.write(self.connection, self._figures)
        self._figures.clear()

    def snapshot(self) -> Counts:
        """Remember what was counted so far, for a job that may have to be undone alone."""
        return self._tallies.copy(), self._figures.copy()

    def put_back(self, counts: Counts) -> None:
        """Forget what was counted since *counts* was taken."""
        self._tallies, self._figures = counts
