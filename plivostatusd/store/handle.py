"""
The store's one connection that writes: opened as soon as it can be, and never trusted with damage.

Lives on the writer's thread; `damage` alone is looked at from elsewhere. It promises that a store
which proved to be damaged is left as it is: nothing is written into it any more, and closing its
connections moves nothing from the write-ahead log into it. What repairs it is said by the error.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from plivostatusd.domain.errors import StartRefused, StoreDamaged
from plivostatusd.store import database
from plivostatusd.store.failure import damage_of

Connect = Callable[[Path], sqlite3.Connection]

_PRIMARY: Final = 0xFF
_STALE: Final = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY})
"""After these the file is opened anew: it may have been opened while the disk was read-only."""

# The bytes that SQLite locks for reading (os.h: PENDING_BYTE + 2, 510 of them), in a struct flock.
_FLOCK: Final = struct.Struct("hhqqi4x")
_SHARED_FIRST: Final = 0x40000000 + 2
_SHARED_SIZE: Final = 510


class Handle:
    """The connection to the store at *path*. Its methods are for the writer's thread."""

    def __init__(self, path: Path, connect: Connect = database.connect_writer) -> None:
        self.path = path
        self.damage: StoreDamaged | None = None
        self.opened = 0  # how often: another connection may see what a failed COMMIT has left
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        self._files: dict[Path, tuple[int, int]] = {}  # the store's and its log's device and inode

    def get(self) -> sqlite3.Connection:
        """
        Give the connection, opened when it is not.

        Raises `StoreDamaged`, and `sqlite3.Error` or `OSError` while it cannot be opened. The first
        time it also raises `StartRefused`; later on what that says counts as damage.
        """
        if self.damage is not None:
            raise self.damage
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    def _open(self) -> sqlite3.Connection:
        if self._files:
            self.check_place()  # an empty one must not take the place of one that went away
        database.check_remains(self.path)
        connection = self._connect(self.path)
        self.opened += 1
        for file in (self.path, Path(f"{self.path}-wal")):
            if file not in self._files and (inode := _inode(file)) is not None:
                self._files[file] = inode
        return connection

    def check_place(self) -> None:
        """
        See that what was written is in the files that the next start will read.

        SQLite goes on writing into files that were moved away, replaced or deleted, and what it
        commits there is lost. Raises `StoreDamaged`.
        """
        for file, inode in self._files.items():
            if _inode(file) != inode:
                raise StoreDamaged(
                    f"{file} was moved, replaced or deleted while it was in use",
                    command=f"systemctl stop plivostatusd; ls -li {file.parent}",
                )

    def note(self, error: Exception) -> None:
        """Draw the consequences of an error that the connection met, or met in opening."""
        if isinstance(error, StoreDamaged):
            self.condemn(error)
        elif isinstance(error, StartRefused):
            self.condemn(StoreDamaged(error.sentence, command=error.command))
        elif damage := damage_of(error, self.path):
            self.condemn(damage)
        elif getattr(error, "sqlite_errorcode", 0) & _PRIMARY in _STALE:
            self.close()

    def condemn(self, damage: StoreDamaged) -> None:
        """Write no more; what is there stays as it is until somebody has repaired it."""
        if self.damage is None:
            _keep_from_checkpoints(self.path)
            self.damage = damage
            self.close()

    def close(self) -> None:
        """Let go of the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _inode(file: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(file)  # noqa: PTH116 - once a batch, and half as dear as Path.stat
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _keep_from_checkpoints(path: Path) -> None:
    """
    Let no connection move the write-ahead log into the file at *path*, as the last to close does.

    For that it must lock the file for itself, which a lock of an open file description prevents,
    even within one process. The descriptor is left open: the lock is to last as long as we do.
    """
    lock = _FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, _SHARED_FIRST, _SHARED_SIZE, 0)
    with suppress(OSError):  # there is no file, or somebody else has locked it for himself
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, lock)
