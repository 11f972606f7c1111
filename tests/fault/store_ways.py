"""What can go wrong beneath SQLite, by the calls that then fail."""

from __future__ import annotations

import sqlite3
from typing import Final

SYNC: Final = "a failed sync"
DEAD: Final = "a dead disk"

_IO_ERROR: Final = {
    "open": sqlite3.SQLITE_CANTOPEN,
    "full_pathname": sqlite3.SQLITE_CANTOPEN_FULLPATH,
    "access": sqlite3.SQLITE_IOERR_ACCESS,
    "delete": sqlite3.SQLITE_IOERR_DELETE,
    "read": sqlite3.SQLITE_IOERR_READ,
    "write": sqlite3.SQLITE_IOERR_WRITE,
    "truncate": sqlite3.SQLITE_IOERR_TRUNCATE,
    "file_size": sqlite3.SQLITE_IOERR_FSTAT,
    "lock": sqlite3.SQLITE_IOERR_LOCK,
    "unlock": sqlite3.SQLITE_IOERR_UNLOCK,
    "check_reserved_lock": sqlite3.SQLITE_IOERR_CHECKRESERVEDLOCK,
    "shm_map": sqlite3.SQLITE_IOERR_SHMMAP,
    "shm_lock": sqlite3.SQLITE_IOERR_SHMLOCK,
}

WAYS: Final[dict[str, dict[str, int]]] = {
    "an I/O error": _IO_ERROR,
    SYNC: {"sync": sqlite3.SQLITE_IOERR_FSYNC},
    "a full disk": {
        "open": sqlite3.SQLITE_CANTOPEN,
        "write": sqlite3.SQLITE_FULL,
        "shm_map": sqlite3.SQLITE_IOERR_SHMSIZE,
    },
    "damage": {"read": sqlite3.SQLITE_CORRUPT},
    "a short read": {"read": sqlite3.SQLITE_IOERR_SHORT_READ},
    DEAD: _IO_ERROR,  # and the spool's calls fail as well
    "a lock": {"lock": sqlite3.SQLITE_BUSY, "shm_lock": sqlite3.SQLITE_BUSY},
}
"""
What goes wrong, by the calls that then fail, each with its code. What a call lets go of (a lock of
the wal-index, a mapping, a file) it lets go of in any case, and SQLite asks no more.
"""

LASTING: Final = frozenset({"damage", "a short read"})
"""What a process does not get over: its cache holds what was read."""
