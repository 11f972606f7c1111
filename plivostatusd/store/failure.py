"""
What an error that SQLite raised says: damage, nothing for now, or one bad row.

Pure, but for the class of the errors. Whoever meets one asks here, so that it is named alike
everywhere, with what to type.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from plivostatusd.domain.errors import StoreDamaged, StoreUnavailable

_PRIMARY: Final = 0xFF
_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_ROW_ERRORS: Final = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)
_WRITE_ERRORS: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE})


def damage_of(error: Exception, path: Path) -> StoreDamaged | None:
    """Give what *error*, met by whoever read or wrote, says about the store; None: nothing."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    if code & _PRIMARY in _DAMAGE or code == sqlite3.SQLITE_READONLY_DBMOVED:
        return StoreDamaged(str(error), command=repair(path))
    return None


@contextmanager
def told(path: Path, condemn: Callable[[StoreDamaged], None]) -> Iterator[None]:
    """
    Name what SQLite raises in the block, as whoever asked hears of it: `StoreUnavailable`.

    When it says that the store at *path* is damaged, *condemn* hears of it first.
    """
    try:
        yield
    except sqlite3.Error as error:
        if damage := damage_of(error, path):
            condemn(damage)
            raise damage from error
        raise StoreUnavailable(f"{type(error).__name__}: {error}") from error


def unavailable(error: Exception, path: Path) -> StoreUnavailable:
    """Name *error*, met by whoever wrote, as a waiter hears of it."""
    unavailable = StoreUnavailable(f"{type(error).__name__}: {error}", hint=_hint(error, path))
    unavailable.__cause__ = error
    return unavailable


def _hint(error: Exception, path: Path) -> str:
    """Give what to type to see why the store at *path* took nothing."""
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return f"Another process holds a lock: fuser -v {path}*"
    if code == sqlite3.SQLITE_FULL:
        return f"The disk is full: df -h {path.parent}"
    return f"ls -l {path}*; df -h {path.parent}; dmesg | tail"


def repair(path: Path) -> str:
    """Give what to type for a damaged store: with a backup, and without one."""
    return (
        "systemctl stop plivostatusd; plivostatusd --restore BACKUP  # or, without a backup:"
        f" plivostatusd --restore {path} --salvage"
    )


def left_nothing(error: Exception) -> bool:
    """
    Say whether a COMMIT that failed so has left no transaction behind.

    When a write failed it is not all there, and what marks it as committed is written last.
    """
    return getattr(error, "sqlite_errorcode", None) in _WRITE_ERRORS


def is_of_one_job(error: Exception) -> bool:
    """Say whether a job's row, or its bug, is at fault: then only that job need fail."""
    if not isinstance(error, sqlite3.Error) or isinstance(error, _ROW_ERRORS):
        return True
    # SQLITE_ERROR is SQL that cannot be run; a full disk, a lock and the like have their own codes.
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & _PRIMARY == sqlite3.SQLITE_ERROR
