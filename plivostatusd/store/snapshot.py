"""
The copy of the store that is made before its schema changes, and found again for a downgrade.

It lies beside the store, is its owner's alone, and has been checked whole and synced before it
bears its name. `database` takes one before it migrates; without it nothing is migrated. What a copy
is made with serves `backup` as well.
"""

from __future__ import annotations

import os
import re
import sqlite3
import struct
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, NoReturn

from plivostatusd.domain.errors import StoreDamaged

SPARE_BYTES: Final = 16 * 1024 * 1024
"""Room that a copy leaves: the migration needs some, and the spool while nothing else works."""

_PRIMARY: Final = 0xFF
# Of the store, not of its copy: who opens the store knows what to make of these.
_OF_THE_STORE: Final = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
)
# Where SQLite's file format keeps PRAGMA user_version (sqlite.org/fileformat2.html, 1.3.2).
_USER_VERSION: Final = struct.Struct(">60xI")
_NO_SCHEMA: Final = 1 << 32  # newer than any: the file is none of SQLite's


def name_of(path: Path, schema: int) -> Path:
    """Name the copy of the store at *path* from before it got *schema*."""
    return path.with_name(f"{path.name}.before-schema-{schema}")


def take(connection: sqlite3.Connection, path: Path, schema: int) -> Path:
    """
    Copy the store at *path*, open as *connection*, before it gets *schema*; the copy comes back.

    Raises `StoreDamaged`, with the command to type, when there can be no good copy, and
    `sqlite3.DatabaseError` when the store itself is locked or cannot be read. An older copy of
    the same name is replaced: the store has been at least as far.
    """
    target = name_of(path, schema)
    made = target.with_name(f"{target.name}.unfinished")
    try:
        _check_room(connection, path, schema)
        remove(made)
        _copy(connection, made, path)
        sync(made)
        made.rename(target)
        sync(target.parent)
    except (OSError, sqlite3.Error) as error:
        if getattr(error, "sqlite_errorcode", 0) & _PRIMARY in _OF_THE_STORE:
            raise
        _refuse(path, schema, str(error), error)
    finally:
        with suppress(OSError):
            remove(made)
    return target


def fit_for(path: Path, schema: int) -> Path | None:
    """Find the newest copy beside the store at *path* that a program knowing *schema* can use."""
    stem = name_of(path, 0).name.removesuffix("0")
    found = {
        int(match[1]): file
        for file in path.parent.glob(f"{stem}*")
        if (match := re.fullmatch(rf"{re.escape(stem)}(\d+)", file.name))
    }
    for number in sorted(found, reverse=True):
        if _schema_of(found[number]) <= schema:
            return found[number]
    return None


def room(connection: sqlite3.Connection, folder: Path) -> tuple[int, int]:
    """Give what is free in *folder* and what a copy of the open store wants there, in bytes."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize, pages * page_bytes + SPARE_BYTES


def copy(connection: sqlite3.Connection, made: Path) -> str:
    """
    Copy the open store to *made*, a new file of its owner's alone; what its check says comes back.

    "ok" is good. In one go: a copy in steps begins anew whenever anybody writes. What is committed
    meanwhile is not in it. Raises `sqlite3.Error` and `OSError`.
    """
    os.close(os.open(made, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(made, isolation_level=None)) as target:
        connection.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
        (said,) = target.execute("PRAGMA integrity_check(1)").fetchone()
    return str(said)


def _check_room(connection: sqlite3.Connection, path: Path, schema: int) -> None:
    free, wanted = room(connection, path.parent)
    if free < wanted:
        _refuse(path, schema, f"{wanted >> 20} MiB are needed, and {free >> 20} MiB are free")


def _copy(connection: sqlite3.Connection, made: Path, path: Path) -> None:
    if (said := copy(connection, made)) != "ok":
        raise StoreDamaged(
            f"The store is damaged, which its copy before the migration shows: {said}",
            command=f"systemctl stop plivostatusd; plivostatusd --restore {path} --salvage",
        )


def _refuse(path: Path, schema: int, why: str, error: Exception | None = None) -> NoReturn:
    raise StoreDamaged(
        f"The store {path} is to get schema {schema}, and no copy of it could be made before:"
        f" {why}. It stays as it is, and the daemon works without it",
        command=f"df -h {path.parent}; ls -ld {path.parent}; systemctl restart plivostatusd",
    ) from error


def _schema_of(file: Path) -> int:
    with file.open("rb") as opened:
        head = opened.read(_USER_VERSION.size)
    return int(_USER_VERSION.unpack(head)[0]) if len(head) == _USER_VERSION.size else _NO_SCHEMA


def remove(made: Path) -> None:
    """Remove a copy that is not wanted, and what SQLite may have left beside it."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        Path(f"{made}{suffix}").unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Have a file, or a folder's entries, on disk. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
