"""
How far SQLite's log grows before a COMMIT moves it into the file.

That COMMIT waits for it, and with it whoever is in its batch or behind it: some 12 ms for 4,000
pages. A page that several batches changed is moved once, so to wait longer costs less in all. While
batches are small nobody needs that, and each answer is to be quick; while they are large it is what
counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from plivostatusd.store import database

if TYPE_CHECKING:
    import sqlite3

JOBS_OF_A_RUSH: Final = 24
"""A batch of so many jobs is large: they came while the one before was on its way to disk."""
BATCHES_OF_A_RUSH: Final = 32
"""So many batches after a large one there still is a rush: small ones go between, then, too."""


class Checkpoints:
    """Fits the connection that writes to its next transaction. Belongs to the writer's thread."""

    __slots__ = ("_connection", "_left", "_pages")

    def __init__(self) -> None:
        self._connection: sqlite3.Connection | None = None
        self._pages = 0
        self._left = 0  # of the rush: so many batches

    def fit(self, connection: sqlite3.Connection, jobs: int) -> None:
        """Hear that a transaction of so many *jobs* comes next."""
        self._left = BATCHES_OF_A_RUSH if jobs >= JOBS_OF_A_RUSH else max(self._left - 1, 0)
        pages = database.CHECKPOINT_PAGES_IN_A_RUSH if self._left else database.CHECKPOINT_PAGES
        if connection is self._connection and pages == self._pages:
            return
        connection.execute(f"PRAGMA wal_autocheckpoint = {pages}").fetchone()
        self._connection, self._pages = connection, pages
