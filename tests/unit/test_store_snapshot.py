"""The copy before a migration: what it holds, when it is refused, and how it is found again."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

import pytest

from plivostatusd.daemon.restore import restore
from plivostatusd.domain.errors import StartRefused, StoreDamaged
from plivostatusd.store import database, snapshot

NEXT = len(database.migrations()) + 1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a store of the present schema with something in it."""
    path = tmp_path / "status.db"
    with closing(database.connect_writer(path)) as connection:
        connection.execute("INSERT INTO facts VALUES ('kept', 'yes')")
    return path


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this a program that knows one schema more."""
    steps = [*database.migrations(), "CREATE TABLE later (x INTEGER) STRICT;\n"]
    monkeypatch.setattr(database, "migrations", lambda: steps)


def facts(path: Path) -> dict[str, str]:
    """Return what a store, or a copy of it, says of itself."""
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as connection:
        return dict(connection.execute("SELECT name, value FROM facts"))


def schema(path: Path) -> int:
    """Return a file's schema."""
    with closing(sqlite3.connect(path)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        return int(version)


def test_a_migration_is_preceded_by_a_copy(path: Path, newer: None) -> None:
    """The store as it was lies beside the migrated one: whole, a single file, its owner's alone."""
    before = os.umask(0)
    try:
        database.connect_writer(path).close()
    finally:
        os.umask(before)
    copy = path.with_name(f"status.db.before-schema-{NEXT}")
    assert (NEXT, NEXT - 1) == (schema(path), schema(copy))
    assert "yes" == facts(copy)["kept"]
    assert 0o600 == stat.S_IMODE(copy.stat().st_mode)
    assert {path.name, copy.name} == {each.name for each in path.parent.iterdir()}


def test_from_the_first_schema(tmp_path: Path) -> None:
    """A store as the first release left it is copied whole, then migrated, and loses nothing."""
    path = tmp_path / "status.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(database.migrations()[0])
        connection.execute("INSERT INTO facts VALUES ('generation', 'feedbeef')")
        connection.execute(f"PRAGMA application_id = {database.APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()
    path.chmod(0o600)
    database.connect_writer(path).close()
    copy = snapshot.name_of(path, NEXT - 1)
    assert (NEXT - 1, 1) == (schema(path), schema(copy))
    assert {"generation": "feedbeef"} == facts(copy) == facts(path)
    with closing(sqlite3.connect(path)) as connection:
        for table in ("refused", "token_uses"):
            assert [] == connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - ours


def test_what_is_in_the_log_is_copied(path: Path, newer: None) -> None:
    """What stands in the write-ahead log alone, as after a crash, is in the copy too."""
    keeper = sqlite3.connect(path, isolation_level=None)
    keeper.execute("INSERT INTO facts VALUES ('late', 'yes')")
    assert Path(f"{path}-wal").stat().st_size
    database.connect_writer(path).close()
    keeper.close()
    assert "yes" == facts(snapshot.name_of(path, NEXT))["late"]


def test_no_copy_without_a_migration(path: Path) -> None:
    """A fresh store, and one whose schema stays, are not copied."""
    database.connect_writer(path).close()
    assert ["status.db"] == [each.name for each in path.parent.iterdir()]


def test_a_copy_of_an_attempt_that_was_cut_off_is_replaced(path: Path, newer: None) -> None:
    """Whatever a killed attempt left, half a copy or a whole one, the next makes a good one."""
    copy = snapshot.name_of(path, NEXT)
    copy.write_text("from before")
    Path(f"{copy}.unfinished").write_text("half")
    database.connect_writer(path).close()
    assert "yes" == facts(copy)["kept"]
    assert {path, copy} == set(path.parent.iterdir())


def test_no_room(path: Path, newer: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without room for the copy nothing is migrated or written, and the error says how much."""
    content = path.read_bytes()
    real = os.statvfs(path.parent)
    few = os.statvfs_result((*real[:4], 10, *real[5:]))  # f_bavail
    monkeypatch.setattr(os, "statvfs", lambda _: few)
    with pytest.raises(
        StoreDamaged, match=r"no copy .*: 16 MiB are needed, and 0 MiB are free"
    ) as e:
        database.connect_writer(path)
    assert f"df -h {path.parent}" in e.value.command
    assert content == path.read_bytes()
    assert [path] == list(path.parent.iterdir())


@pytest.mark.parametrize("call", ["fsync", "open"])
def test_a_disk_that_fails(
    path: Path, newer: None, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """A copy that cannot be made, or not synced, is no copy: nothing is migrated."""

    def fail(*_: Any) -> NoReturn:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(
            StoreDamaged, match=r"no copy of it could be made before: .*output error"
        ):
            database.connect_writer(path)
    assert NEXT - 1 == schema(path)
    assert [path] == list(path.parent.iterdir())


def test_a_store_that_is_damaged(path: Path, newer: None) -> None:
    """A damaged store is not migrated: its copy tells, and the command salvages it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("DELETE FROM sqlite_schema WHERE name = 'tallies'")  # its pages are lost
    with pytest.raises(StoreDamaged, match="damaged") as caught:
        database.connect_writer(path)
    assert caught.value.command.endswith(f"plivostatusd --restore {path} --salvage")
    assert NEXT - 1 == schema(path)
    assert [path] == list(path.parent.iterdir())


def test_a_store_that_is_locked(path: Path, newer: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that somebody else holds is not called damaged: it is tried again."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.0)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            database.connect_writer(path)
    database.connect_writer(path).close()
    assert NEXT == schema(path)


def test_there_and_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a downgrade the older program refuses, names the copy, and can put it back."""
    steps = database.migrations()
    with monkeypatch.context() as patch:
        patch.setattr(database, "migrations", lambda: [*steps, "CREATE TABLE later (x INTEGER);\n"])
        database.connect_writer(path).close()
    content = path.read_bytes()
    with pytest.raises(StartRefused, match=r"newer plivostatusd.*Install that version") as caught:
        database.connect_writer(path)
    copy = snapshot.name_of(path, NEXT)
    assert f"systemctl stop plivostatusd; plivostatusd --restore {copy}" == caught.value.command
    assert content == path.read_bytes()
    done = restore(copy, path)
    assert done.aside is not None
    assert (NEXT, NEXT - 1) == (schema(done.aside), schema(path))
    assert "yes" == facts(path)["kept"]


def test_the_copy_that_fits(path: Path) -> None:
    """Of several copies the newest is named whose schema the program knows; others are no use."""
    assert snapshot.fit_for(path, NEXT) is None
    for number, version in ((2, 1), (3, 2), (5, 4)):
        copy = snapshot.name_of(path, number)
        with closing(sqlite3.connect(copy)) as connection:
            connection.execute("CREATE TABLE x (y)")
            connection.execute(f"PRAGMA user_version = {version}")
    snapshot.name_of(path, 9).write_bytes(b"no database")
    Path(f"{snapshot.name_of(path, 3)}.unfinished").write_bytes(bytes(100))
    found = [snapshot.fit_for(path, known) for known in (0, 1, 2, 3, 4)]
    assert [None, *(snapshot.name_of(path, number) for number in (2, 3, 3, 5))] == found
