"""Opening the store: the file's owner and mode, its kind and schema, connections' settings."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import resources
from pathlib import Path

import pytest

from plivostatusd.domain.errors import StartRefused
from plivostatusd.store import database
from tests.unit.store_place import opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a store may be made."""
    return tmp_path / "status.db"


@contextmanager
def made(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the writer's connection, and close it."""
    with closing(database.connect_writer(path)) as connection:
        yield connection


def schema_of(connection: sqlite3.Connection) -> dict[str, str]:
    """Return each object's definition, comments and spaces aside."""
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {name: re.sub(r"--.*|\s+", "", sql) for name, sql in rows}


def refused(path: Path) -> StartRefused:
    """Return how the check refuses *path*."""
    with pytest.raises(StartRefused) as caught:
        database.check_file(path)
    assert caught.value.command
    return caught.value


def test_fresh_equals_migrated(path: Path) -> None:
    """What the migrations lead to is what schema.sql shows, object by object."""
    text = (resources.files("plivostatusd.store") / "schema.sql").read_text()
    with made(path) as migrated, closing(sqlite3.connect(":memory:")) as shown:
        shown.executescript(text)
        assert schema_of(shown) == schema_of(migrated)


def test_each_step_leads_on(path: Path) -> None:
    """A store left at any released schema is brought to the present one, its facts kept."""
    steps = database.migrations()
    with made(path) as fresh:
        wanted = schema_of(fresh)
    for version in range(1, len(steps) + 1):
        old = path.with_name(f"{version}.db")
        with closing(sqlite3.connect(old)) as connection:
            for step in steps[:version]:
                connection.executescript(step)
            connection.execute("INSERT INTO facts VALUES ('generation', 'feedbeef')")
            connection.execute(f"PRAGMA application_id = {database.APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {version}")
            connection.commit()
        with made(old) as connection:
            assert wanted == schema_of(connection)
            assert [("feedbeef",)] == connection.execute("SELECT value FROM facts").fetchall()
            assert [(len(steps),)] == connection.execute("PRAGMA user_version").fetchall()


def test_opening_again_changes_nothing(path: Path) -> None:
    """A store keeps its generation, which cursors belong to, when it is opened again."""
    with made(path) as connection:
        first = connection.execute("SELECT * FROM facts").fetchall()
    with made(path) as connection:
        assert first == connection.execute("SELECT * FROM facts").fetchall()
    assert re.fullmatch("[0-9a-f]{8}", first[0][1])


def test_every_table_is_strict(path: Path) -> None:
    """No column takes a value of another type than it says."""
    with made(path) as connection:
        loose = "SELECT name FROM pragma_table_list WHERE NOT strict AND name NOT LIKE 'sqlite%'"
        assert [] == connection.execute(loose).fetchall()


def test_settings_of_the_writer(path: Path) -> None:
    """The connection that writes waits for the disk, wipes what it deletes, and is ours to tell."""
    wanted = {
        "journal_mode": "wal",
        "synchronous": 2,
        "secure_delete": 1,
        "foreign_keys": 1,
        "application_id": database.APPLICATION_ID,
        "user_version": len(database.migrations()),
        "busy_timeout": 800,
    }
    with made(path) as connection:
        actual = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in wanted}
    assert wanted == actual


async def test_settings_of_the_reader(tmp_path: Path) -> None:
    """The reader's connection cannot write, and never checkpoints."""
    async with opened(tmp_path) as place:
        connection = await place.reader._open()
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await connection.execute("INSERT INTO facts VALUES ('x', 'y')")
        async with connection.execute("PRAGMA wal_autocheckpoint") as cursor:
            assert {"wal_autocheckpoint": 0} == await cursor.fetchone()


def test_the_file_is_its_owners_alone(path: Path) -> None:
    """A new store, with all that lies beside it, is open to nobody else, whatever the umask."""
    before = os.umask(0)
    try:
        with made(path) as connection:
            connection.execute("INSERT INTO facts VALUES ('x', 'y')")
            modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert dict.fromkeys(("status.db", "status.db-wal", "status.db-shm"), 0o600) == modes


def test_a_newer_schema(path: Path) -> None:
    """A store of a newer program is refused in a sentence that says what to do, and not touched."""
    with made(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(StartRefused, match=r"schema 99.*newer plivostatusd.*--restore"):
        database.connect_writer(path)
    assert before == path.read_bytes()


def test_another_programs_database(path: Path) -> None:
    """A database that is no store of ours is refused, and stays as it is to the byte."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE photos (name TEXT)")
    before = path.read_bytes()
    with pytest.raises(StartRefused, match="another program"):
        database.connect_writer(path)
    assert before == path.read_bytes()
    assert [path] == [*path.parent.iterdir()]


def test_no_database_at_all(path: Path) -> None:
    """A file that is no database is told apart as such, and the connection is closed."""
    path.write_bytes(b"dear diary, " * 1000)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        database.connect_writer(path)


def test_without_a_write_ahead_log(path: Path) -> None:
    """Where SQLite cannot keep a write-ahead log, the daemon does not run without one."""
    with closing(sqlite3.connect(":memory:")) as connection, pytest.raises(StartRefused) as caught:
        database._settle_connection(connection, path)
    assert "write-ahead log" in str(caught.value)
    assert caught.value.command.startswith("df -T")


def test_a_good_store_passes(path: Path) -> None:
    """A folder of ours passes the check without a store in it, and with one that is open."""
    database.check_file(path)
    with made(path):
        database.check_file(path)


def test_no_folder(tmp_path: Path) -> None:
    """A missing folder is refused with the command that makes it."""
    assert "install -d -m 0750" in refused(tmp_path / "missing" / "status.db").command


def test_a_folder_that_is_not_writable(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that this user may not write to is refused with the commands that mend it."""
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    assert "chown" in refused(path).command


def test_another_owner(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store of another user is refused, naming both, with the command that mends it."""
    path.touch(0o600)
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: 54_321)  # without being root: another, unnamed user
    error = refused(path)
    assert f"belongs to {database._user_name(me)}, and this process runs as 54321" in str(error)
    assert f"chown 54321 {path}" == error.command


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_open_to_everybody(path: Path, suffix: str) -> None:
    """A store that every user may read is refused, as is a file beside it that SQLite reads."""
    file = Path(f"{path}{suffix}")
    file.touch()
    file.chmod(0o644)
    assert f"chmod o-rwx {file}" == refused(path).command


def test_not_writable_for_its_owner(path: Path) -> None:
    """A store without its owner's write bit is refused, even where root could write to it."""
    path.touch(0o400)
    assert f"chmod u+rw {path}" == refused(path).command


def test_no_file(path: Path) -> None:
    """A folder or a pipe in the store's place is refused."""
    path.mkdir()
    assert "not a regular file" in str(refused(path))


def test_a_group_may_read(path: Path) -> None:
    """Group bits are the operator's business."""
    path.touch(0o640)
    path.chmod(0o640)
    database.check_file(path)
