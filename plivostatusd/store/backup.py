"""
A copy of the store as it is at one moment, for somebody to keep: made while everything goes on.

SQLite's online backup in one go, on a connection that only reads, beside the store, where there is
room for it by the same account as before a migration. The copy has been checked whole before
anybody gets it, and has no name any more by then: whatever becomes of us, nothing of it is left.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from plivostatusd.domain.errors import NoRoom, StoreDamaged
from plivostatusd.store import rebuilding, snapshot
from plivostatusd.store.handle import repair

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX: Final = ".backup-unfinished"


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
            said = snapshot.copy(connection, made)
        if said != "ok":
            raise StoreDamaged(f"The store's copy shows damage: {said}", command=repair(path))
        file = made.open("rb")
    finally:
        snapshot.remove(made)
    sha256 = hashlib.file_digest(file, "sha256").digest()
    file.seek(0)
    return Copy(file, os.fstat(file.fileno()).st_size, sha256)


def clear(path: Path) -> None:
    """Remove what a process that was killed in the midst of a copy has left. Raises `OSError`."""
    snapshot.remove(path.with_name(f"{path.name}{SUFFIX}"))
