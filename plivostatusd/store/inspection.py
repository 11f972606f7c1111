"""A look at the whole store after a stop that was not clean: bounded in time, and only a look."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_STEPS_BETWEEN_LOOKS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found: *fault* is SQLite's first complaint; not *finished*, if time ran out."""

    fault: str | None
    finished: bool
    seconds: float


def inspect(path: Path, *, within_s: float) -> Inspection:
    """
    Have SQLite look over the store at *path* (PRAGMA quick_check), on a connection that only reads.

    Blocks for *within_s* at most, or little more. Raises `sqlite3.Error` when it cannot be looked
    at; a page that cannot be made sense of is a fault.
    """
    began_s = time.monotonic()
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        connection.set_progress_handler(
            lambda: time.monotonic() - began_s > within_s, _STEPS_BETWEEN_LOOKS
        )
        fault, finished = None, True
        try:
            (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            fault = None if said == "ok" else str(said)
        except sqlite3.DatabaseError as error:
            code = error.sqlite_errorcode
            if code == sqlite3.SQLITE_INTERRUPT:
                finished = False
            elif code & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
                fault = str(error)
            else:
                raise
    return Inspection(fault, finished, time.monotonic() - began_s)
