"""A connection to a store whose COMMITs report errors when a test says so."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from plivostatusd.store import database


class FaultyConnection:
    """
    A store's connection. `faults` says how the next COMMITs end, one each.

    "with": it works, and reports an error all the same. "without": it does not work, and says so.
    "fine": it works.
    """

    def __init__(self, path: Path) -> None:
        self._connection = database.connect_writer(path)
        self.faults: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: str, arguments: tuple[object, ...] = ()) -> sqlite3.Cursor:
        """Run *sql*, unless it is a COMMIT that is to fail."""
        fault = self.faults.pop(0) if sql == "COMMIT" and self.faults else None
        if fault == "without":
            raise sqlite3.OperationalError("disk I/O error")
        cursor = self._connection.execute(sql, arguments)
        if fault == "with":
            raise sqlite3.OperationalError("disk I/O error")
        return cursor
