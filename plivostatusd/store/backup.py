"""
A copy of the store as it is at one moment, for somebody to keep: made while everything goes on.

SQLite's online backup in one go, on a connection that only reads, beside the store, where there is
room for it by the same account as before a migration. The copy has been checked whole before
anybody gets it, and has no name any more by then: whatever becomes of us, nothing of it is left.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, NoReturn

from plivostatusd.domain.errors import NoRoom, StoreDamaged
from plivostatusd.store import rebuilding, snapshot
from plivostatusd.store.failure import repair

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX: Final = ".backup-unfinished"
_PRIMARY: Final = 0xFF
_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


@dataclass(frozen=True, slots=True)
class Copy:
    """A whole copy: an open file at its beginning, its size, and the SHA-256 of its bytes."""

    file: BinaryIO
    size: int
    sha256: bytes


def take(path: Path) -> Copy:
    """
    Copy the store at *path*; blocks for as long as that takes. One at a time.

    Raises `NoRoom`, `StoreDamaged`, `sqlite3.Error` and `OSError`.
    """
    made = path.with_name(f"{path.name}{SUFFIX}")
    snapshot.remove(made)
    try:
        with closing(rebuilding.connect(path)) as connection:
            free, wanted = snapshot.room(connection, path.parent)
            if free < wanted:
                raise NoRoom(
                    f"A copy of the store wants {wanted >> 20} MiB beside it,"
                    f" and {free >> 20} MiB are free",
                    hint=f"df -h {path.parent}",
                )
            said = _copy(connection, made)
            if said != "ok":
                _blame(connection, path, said)
        file = made.open("rb")
    finally:
        snapshot.remove(made)
    sha256 = hashlib.file_digest(file, "sha256").digest()
    file.seek(0)
    return Copy(file, os.fstat(file.fileno()).st_size, sha256)


def _copy(connection: sqlite3.Connection, made: Path) -> str:
    """Copy, and give what SQLite says of the copy, though it may not make sense of it at all."""
    try:
        return snapshot.copy(connection, made)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & _PRIMARY not in _DAMAGE:
            raise
        return str(error)


def _blame(connection: sqlite3.Connection, path: Path, said: str) -> NoReturn:
    """Say whose damage a copy shows: nobody writes into a store that is called damaged."""
    try:
        (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found != "ok":
        raise StoreDamaged(f"The store's copy shows damage: {found}", command=repair(path))
    raise OSError(errno.EIO, f"the copy is not what was written, and the store is whole: {said}")


def clear(path: Path) -> None:
    """Remove what a process that was killed in the midst of a copy has left. Raises `OSError`."""
    snapshot.remove(path.with_name(f"{path.name}{SUFFIX}"))
