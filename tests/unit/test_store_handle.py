"""Opening the store late, and leaving a damaged one as it is."""
# ruff: noqa: ASYNC240 - a test may wait for its own files

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest

from plivostatusd.domain.errors import StartRefused, StoreDamaged, StoreUnavailable
from plivostatusd.store.handle import Handle
from plivostatusd.store.writer import Writer
from tests.logbook import Logbook
from tests.unit.store_place import insert_fact, opened, rows_of

PAGE_BYTES = 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the store is to be."""
    return tmp_path / "status.db"


def wal_of(path: Path) -> Path:
    """Return the write-ahead log's place."""
    return Path(f"{path}-wal")


def digest(path: Path) -> str:
    """Tell what is in a file."""
    return sha256(path.read_bytes()).hexdigest()


async def made(path: Path) -> None:
    """Make a store, and close it."""
    async with opened(path.parent) as place:
        await place.writer.submit(partial(insert_fact, name="before"))


@pytest.mark.expect_log("batch_failed.*locked")
async def test_opened_once_it_can_be(path: Path) -> None:
    """A store that another program holds at the start is opened as soon as it lets go."""
    await made(path)
    writer = Writer(Handle(path), commit_timeout_s=5.0)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreUnavailable):
            await writer.open()
        with pytest.raises(StoreUnavailable):
            await writer.submit(partial(insert_fact, name="never"))
        other.execute("COMMIT")
    assert await writer.submit(partial(insert_fact, name="after"))
    assert writer.damage is None
    await writer.close()
    names = "SELECT name FROM facts WHERE name <> 'generation' ORDER BY name"
    assert ["after", "before"] == rows_of(path, names)


@pytest.mark.expect_log("batch_failed")
async def test_a_directory_where_the_store_was(path: Path) -> None:
    """What cannot be opened at all is tried again with each batch."""
    path.mkdir()
    writer = Writer(Handle(path), commit_timeout_s=5.0)
    with pytest.raises(StoreUnavailable):
        await writer.submit(partial(insert_fact, name="never"))
    path.rmdir()
    await writer.submit(partial(insert_fact, name="after"))
    await writer.close()


@pytest.mark.expect_log("store_damaged")
async def test_a_damaged_page(path: Path, logbook: Logbook) -> None:
    """A damaged store takes no more writes, and neither it nor its log is changed by anybody."""
    async with opened(path.parent) as place:
        await place.writer.submit(partial(insert_fact, name="before"))
    (page,) = rows_of(path, "SELECT rootpage FROM sqlite_master WHERE name = 'facts'")
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE_BYTES)
        file.write(b"\xff" * PAGE_BYTES)
    writer = Writer(Handle(path), commit_timeout_s=5.0)
    await writer.open()
    with pytest.raises(StoreDamaged) as damaged:
        await writer.submit(partial(insert_fact, name="never"))
    assert "--salvage" in damaged.value.command
    before = digest(path)
    with pytest.raises(StoreDamaged):
        await writer.submit(partial(insert_fact, name="nor this"))
    await writer.close()
    assert before == digest(path)
    (line,) = logbook.events("store_damaged")
    assert "--restore" in line["hint"]


@pytest.mark.expect_log("store_damaged")
async def test_the_log_of_a_damaged_store_stays(path: Path) -> None:
    """What is in the write-ahead log when damage is found is still there at the end."""
    writer = Writer(Handle(path), commit_timeout_s=5.0)
    await writer.submit(partial(insert_fact, name="kept in the log"))
    log_bytes, store = wal_of(path).stat().st_size, digest(path)
    assert log_bytes > 0
    writer.condemn(StoreDamaged("somebody looked", command="plivostatusd --restore BACKUP"))
    with pytest.raises(StoreDamaged, match="somebody looked"):
        await writer.submit(partial(insert_fact, name="never"))
    await writer.close()
    assert (log_bytes, store) == (wal_of(path).stat().st_size, digest(path))


@pytest.mark.expect_log("store_damaged")
async def test_no_database(path: Path) -> None:
    """A file that is no database is not touched, and said to be damaged."""
    path.write_bytes(b"garbage " * 2000)
    writer = Writer(Handle(path), commit_timeout_s=5.0)
    with pytest.raises(StoreDamaged, match="not a database"):
        await writer.open()
    with pytest.raises(StoreDamaged):
        await writer.submit(partial(insert_fact, name="never"))
    await writer.close()
    assert b"garbage " * 2000 == path.read_bytes()


@pytest.mark.parametrize("is_there", [True, False])
async def test_an_empty_store_beside_its_log(path: Path, *, is_there: bool) -> None:
    """A store that was cut off or removed, its log left behind: SQLite is not let near the log."""
    if is_there:
        path.touch(mode=0o600)
    wal_of(path).write_bytes(b"what was committed")
    writer = Writer(Handle(path), commit_timeout_s=5.0)
    with pytest.raises(StoreDamaged, match="cut off or removed"):
        await writer.open()
    await writer.close()
    assert b"what was committed" == wal_of(path).read_bytes()
    assert is_there == path.exists()


@pytest.mark.expect_log("store_damaged.*moved, replaced or deleted")
@pytest.mark.parametrize("what", ["moved", "replaced", "log deleted"])
async def test_files_that_go_away(path: Path, what: str) -> None:
    """Nothing is said to be committed that went into a file which no start will find."""
    writer = Writer(Handle(path), commit_timeout_s=5.0)
    await writer.submit(partial(insert_fact, name="before"))
    if what == "log deleted":
        wal_of(path).unlink()
    else:
        path.rename(path.with_name("moved.db"))
    if what == "replaced":
        path.write_bytes(b"a backup")
    with pytest.raises(StoreDamaged):
        await writer.submit(partial(insert_fact, name="never"))
    await writer.close()
    assert {"moved": False, "replaced": True, "log deleted": True}[what] == path.exists()


async def test_a_refusal_at_the_start(path: Path) -> None:
    """What an operator must mend before a start is said as that."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE somebody_elses (x)")
    writer = Writer(Handle(path), commit_timeout_s=5.0)
    with pytest.raises(StartRefused, match="another program"):
        await writer.open()
    await writer.close()


@pytest.mark.expect_log("store_damaged.*another program")
async def test_a_refusal_later_on(path: Path) -> None:
    """The same, found when the daemon runs already, counts as damage."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE somebody_elses (x)")
    writer = Writer(Handle(path), commit_timeout_s=5.0)
    with pytest.raises(StoreDamaged, match="another program"):
        await writer.submit(partial(insert_fact, name="never"))
    await writer.close()
