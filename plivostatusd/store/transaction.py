"""What a job sees of the transaction it runs in. Lives on the writer's thread, for one batch."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import sqlite3

    from plivostatusd.store.ledger import Ledger, Places

Row = tuple[Any, ...]


class Transaction:
    """
    One open transaction: its statements, and the tallies that change with it.

    A job raises a `Refusal` only before its first write: its neighbours' transaction goes on.
    """

    __slots__ = ("_moves", "connection", "execute", "has_filed", "ledger", "places")

    def __init__(self, connection: sqlite3.Connection, ledger: Ledger | None = None) -> None:
        self.connection = connection
        self.execute = connection.execute
        self._moves: Counter[str] = Counter()
        self.ledger = ledger
        self.places: Places | None = None  # of the ledger, once asked for (store/nonces.py)
        self.has_filed = False
        if ledger is not None:
            ledger.catch_up(connection)

    def one(self, sql: str, arguments: tuple[object, ...] = ()) -> Row | None:
        """Give the first row of a query, or None."""
        row: Row | None = self.execute(sql, arguments).fetchone()
        return row

    def insert(self, sql: str, arguments: tuple[object, ...]) -> int:
        """Insert one row and give its number."""
        return cast("int", self.execute(sql, arguments).lastrowid)

    def move(self, before: str | None, after: str | None, count: int = 1) -> None:
        """Count one thing, or *count*, fewer as *before* and as many more as *after*."""
        if before == after:
            return
        if before is not None:
            self._moves[before] -= count
        if after is not None:
            self._moves[after] += count

    def tally(self, name: str) -> int:
        """Count what stands as *name*, this transaction's own moves included."""
        row = self.one("SELECT n FROM tallies WHERE name = ?", (name,))
        return (row[0] if row else 0) + self._moves[name]

    def write_tallies(self) -> None:
        """Make the moves last; the writer calls it once, before COMMIT."""
        for name, difference in self._moves.items():
            if difference:
                self.execute(
                    "INSERT INTO tallies VALUES (?1, ?2)"
                    " ON CONFLICT (name) DO UPDATE SET n = n + ?2",
                    (name, difference),
                )
        self._moves.clear()

    def snapshot(self) -> Counter[str]:
        """Remember the moves so far, for a job that may have to be undone alone."""
        return self._moves.copy()

    def put_back(self, moves: Counter[str]) -> None:
        """Forget the moves made since *moves* was taken, and where the ledger's entries were."""
        self._moves = moves
        self.places = None
