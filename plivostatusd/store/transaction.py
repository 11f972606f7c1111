"""What a job sees of the transaction it runs in. Lives on the writer's thread, for one batch."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, cast

from plivostatusd.store import counting

if TYPE_CHECKING:
    import sqlite3

    from plivostatusd.store.counting import Key
    from plivostatusd.store.ledger import Known, Ledger
    from plivostatusd.store.nonce_runs import Unfiled
    from plivostatusd.store.sieve import Sieve

Row = tuple[Any, ...]


Kept = tuple[Counter[str], Counter["Key"], list["Unfiled"]]


class Transaction:
    """
    One open transaction: its statements, and the counts and nonces that its jobs add.

    A job raises a `Refusal` only before its first write: its neighbours' transaction goes on. What
    is counted and remembered is written once for all jobs, before COMMIT: they share most rows.
    """

    __slots__ = (
        *("_cursor", "_figures", "_tallies", "connection", "execute"),
        *("has_filed", "known", "ledger", "unwritten"),
    )

    def __init__(self, connection: sqlite3.Connection, ledger: Ledger | None = None) -> None:
        self.connection = connection
        self.execute = connection.execute
        self._cursor = connection.cursor()  # for what is fetched at once: one each costs more
        self._tallies: Counter[str] = Counter()
        self._figures: Counter[Key] = Counter()
        self.ledger = ledger
        self.known: Known | None = None  # of the ledger, once asked for (store/nonces.py)
        self.unwritten: list[Unfiled] = []  # entries of the ledger
        self.has_filed = False
        if ledger is not None:
            self.known = ledger.lend(connection)
            ledger.catch_up(connection)

    @property
    def sieve(self) -> Sieve | None:
        """The sieve before the ledger's small runs, if they are all in it."""
        return None if self.ledger is None else self.ledger.sieve

    def close(self) -> None:
        """
        Let go of the last statement.

        One that failed is kept by its cursor, which a traceback may keep; and with a statement left
        SQLite does not let go of the files when the connection is closed.
        """
        self._cursor.close()

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

    def move(self, before: str | None, after: str | None, count: int = 1) -> None:
        """Count one thing, or *count*, fewer as *before* and as many more as *after*."""
        if before == after:
            return
        if before is not None:
            self._tallies[before] -= count
        if after is not None:
            self._tallies[after] += count

    def count(self, before: Key | None, after: Key | None, count: int = 1) -> None:
        """Count *count* messages fewer as *before* and more as *after*, by their status, too."""
        if before == after:
            return
        if before is not None:
            self._figures[before] -= count
        if after is not None:
            self._figures[after] += count
        self.move(before and before[1], after and after[1], count)

    def tally(self, name: str) -> int:
        """Count what stands as *name*, this transaction's own moves included."""
        row = self.one("SELECT n FROM tallies WHERE name = ?", (name,))
        return (row[0] if row else 0) + self._tallies[name]

    def committed(self) -> None:
        """Hear that COMMIT has worked, and only then."""
        assert not self.unwritten
        if self.ledger is not None:
            self.ledger.take_back(self.connection, self.known)

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

    def snapshot(self) -> Kept:
        """Remember what is not written yet, for a job that may have to be undone alone."""
        return self._tallies.copy(), self._figures.copy(), self.unwritten.copy()

    def put_back(self, kept: Kept) -> None:
        """Forget what was counted and remembered since *kept* was taken."""
        self._tallies, self._figures, self.unwritten = kept
        self.known = None  # it is read again
