"""A copy for somebody to keep: what it holds, when there is none, and what is left of it."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from plivostatusd.domain.errors import NoRoom, StoreDamaged
from plivostatusd.store import backup, database, snapshot


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a store with something in it."""
    path = tmp_path / "status.db"
    with closing(database.connect_writer(path)) as connection:
        connection.execute("INSERT INTO facts VALUES ('kept', 'yes')")
    return path


def left(path: Path) -> set[str]:
    """Name what lies beside the store and its write-ahead log."""
    own = {path.name, f"{path.name}-wal", f"{path.name}-shm"}
    return {each.name for each in path.parent.iterdir()} - own


def test_a_copy(path: Path, tmp_path: Path) -> None:
    """It is whole, of its size and digest, with what stands in the log alone, and has no name."""
    with closing(sqlite3.connect(path, isolation_level=None)) as keeper:
        keeper.execute("INSERT INTO facts VALUES ('late', 'yes')")
        assert Path(f"{path}-wal").stat().st_size
        copy = backup.take(path)
        assert set() == left(path)
    with copy.file:
        content = copy.file.read()
    assert (len(content), hashlib.sha256(content).digest()) == (copy.size, copy.sha256)
    kept = tmp_path / "kept.db"
    kept.write_bytes(content)
    with closing(sqlite3.connect(f"file:{kept}?immutable=1", uri=True)) as connection:
        facts = dict(connection.execute("SELECT name, value FROM facts"))
    assert ("yes", "yes") == (facts["kept"], facts["late"])


def test_while_somebody_writes(path: Path) -> None:
    """A transaction under way neither holds a copy up nor is in it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO facts VALUES ('under way', 'yes')")
        with backup.take(path).file as file:
            assert b"under way" not in file.read()
        writer.execute("COMMIT")


def test_what_was_left_is_replaced(path: Path) -> None:
    """What a killed process left stands in nobody's way, and can be cleared away alone."""
    unfinished = path.with_name("status.db.backup-unfinished")
    for suffix in ("", "-journal"):
        Path(f"{unfinished}{suffix}").write_text("half")
    backup.take(path).file.close()
    assert set() == left(path)
    unfinished.write_text("half")
    backup.clear(path)
    backup.clear(path)
    assert set() == left(path)


def test_no_room(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without room for it none is made; the error says how much is wanted, and where to look."""
    real = os.statvfs(path.parent)
    few = os.statvfs_result((*real[:4], 10, *real[5:]))  # f_bavail
    monkeypatch.setattr(os, "statvfs", lambda _: few)
    with pytest.raises(NoRoom, match="wants 16 MiB beside it, and 0 MiB are free") as caught:
        backup.take(path)
    assert f"df -h {path.parent}" == caught.value.hint
    assert set() == left(path)


def test_a_damaged_store(path: Path) -> None:
    """Of a damaged store there is no copy, and the error says what repairs it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("DELETE FROM sqlite_schema WHERE name = 'tallies'")  # its pages are lost
    with pytest.raises(StoreDamaged, match="copy shows damage") as caught:
        backup.take(path)
    assert "--salvage" in caught.value.command
    assert set() == left(path)


@pytest.mark.parametrize("place", [100, 4096 * 3])
def test_pages_that_are_garbage(path: Path, place: int) -> None:
    """Of a store whose pages make no sense there is none either, and it is called damaged."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(place)
        file.write(b"x" * 4000)
    with pytest.raises((StoreDamaged, sqlite3.DatabaseError)) as caught:
        backup.take(path)
    code = getattr(caught.value, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    assert code & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
    assert set() == left(path)


@pytest.mark.parametrize("is_raised", [True, False])
def test_a_bad_copy_of_a_good_store(
    path: Path, monkeypatch: pytest.MonkeyPatch, is_raised: bool
) -> None:
    """What is wrong with the copy alone is the disk's fault: the store is not called damaged."""
    copy = snapshot.copy

    def spoilt(connection: sqlite3.Connection, made: Path) -> str:
        copy(connection, made)
        with made.open("r+b") as file:
            file.write(b"x" * 4096)
        with closing(sqlite3.connect(made)) as target:
            if is_raised:
                target.execute("PRAGMA integrity_check(1)")
        return "page 1 is garbage"

    monkeypatch.setattr(snapshot, "copy", spoilt)
    with pytest.raises(OSError, match="the store is whole"):
        backup.take(path)
    assert set() == left(path)


def test_a_store_that_is_locked(path: Path) -> None:
    """Of a store that somebody else holds there is none now, and nothing is called damaged."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match=r"locked|unable to open"):
            backup.take(path)
