"""The shim beneath SQLite does what the tests that stand on it believe."""

from __future__ import annotations

import ctypes
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.fault import sqlite_abi
from tests.fault.shim_vfs import Shim
from tests.fault.sqlite_abi import METHODS_SINCE, STATIC, IoMethods
from tests.fault.vfs_watch import Call, Fault, Watch

CODES = {
    "open": "SQLITE_CANTOPEN",
    "read": "SQLITE_IOERR_READ",
    "write": "SQLITE_IOERR_WRITE",
    "sync": "SQLITE_IOERR_FSYNC",
    "truncate": "SQLITE_IOERR_TRUNCATE",
    "file_size": "SQLITE_IOERR_FSTAT",
    "lock": "SQLITE_IOERR_LOCK",
    "shm_map": "SQLITE_IOERR_SHMMAP",
    "shm_lock": "SQLITE_IOERR_SHMLOCK",
    "delete": "SQLITE_IOERR_DELETE",
    "access": "SQLITE_IOERR_ACCESS",
    "full_pathname": "SQLITE_CANTOPEN_FULLPATH",
}


def connected(path: Path) -> sqlite3.Connection:
    """Connect as the store does, in autocommit."""
    return sqlite3.connect(path, isolation_level=None)


def write_and_read(path: Path) -> list[Any]:
    """Make a store in both kinds of journal, write, and read it from a second connection."""
    with closing(connected(path)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS t (x)")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("INSERT INTO t VALUES (randomblob(20000))")
        with closing(connected(path)) as other:
            found = other.execute("SELECT count(*) FROM t").fetchall()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode = DELETE")
    return found


def test_passes_everything_on(tmp_path: Path) -> None:
    """Code that knows nothing of the shim goes through it while it is entered, and only then."""
    with Shim(Watch()) as watch:
        assert [(1,)] == write_and_read(tmp_path / "s.db")
    assert CODES.keys() <= watch.counts.keys()
    before = watch.counts.total()
    assert [(2,)] == write_and_read(tmp_path / "s.db")
    assert before == watch.counts.total()


@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
def test_a_call_fails(kind: str, *, for_good: bool, tmp_path: Path) -> None:
    """SQLite hears the very code, from each of these calls; later ones work, or they do not."""
    watch = Watch(Fault({kind: getattr(sqlite3, CODES[kind])}, 1, for_good=for_good))
    with Shim(watch):
        with pytest.raises(sqlite3.Error) as met:
            write_and_read(tmp_path / "s.db")
        with suppress(sqlite3.Error):
            assert not for_good or not write_and_read(tmp_path / "s.db")
    assert CODES[kind] == met.value.sqlite_errorname
    assert (watch.first is not None, for_good) == (True, watch.broken > 1)
    with closing(connected(tmp_path / "s.db")) as connection:
        assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()


def test_the_nth_call(tmp_path: Path) -> None:
    """Only calls of the fault's kinds are counted, and the nth of them is the one that fails."""
    watch = Watch(Fault({"write": sqlite3.SQLITE_FULL}, 5))
    with Shim(watch), pytest.raises(sqlite3.OperationalError, match="full"):
        write_and_read(tmp_path / "s.db")
    assert 5 <= watch.points == watch.counts["write"]
    assert (1, "write") == (watch.broken, watch.first and watch.first.kind)


def test_a_while(tmp_path: Path) -> None:
    """Calls that fail for a while do not count, and work again afterwards."""
    watch = Watch(Fault({"write": sqlite3.SQLITE_FULL}, 10_000))
    with Shim(watch):
        with watch.failing({"write": sqlite3.SQLITE_FULL}), pytest.raises(sqlite3.OperationalError):
            write_and_read(tmp_path / "s.db")
        assert 0 == watch.points < watch.counts["write"]
        assert [(1,)] == write_and_read(tmp_path / "s.db")


def test_a_write_gets_half_way(tmp_path: Path) -> None:
    """A write that fails leaves its first half, on the disk and for whoever takes notes."""
    seen: list[Call] = []
    path = tmp_path / "s.db"
    watch = Watch(Fault({"write": sqlite3.SQLITE_FULL}, 3), done=seen.append)
    with Shim(watch), closing(connected(path)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        with pytest.raises(sqlite3.OperationalError):
            connection.execute("CREATE TABLE t AS SELECT randomblob(20000)")
    last = [call for call in seen if call.kind == "write"][-1]
    assert last.path == str(path)
    assert 2048 == len(last.content)
    assert last.content == path.read_bytes()[last.at :][:2048]


def test_a_short_read_gives_zeros(tmp_path: Path) -> None:
    """What a short read does not give is zeros, as SQLite asks for: never what was there before."""
    write_and_read(tmp_path / "s.db")
    watch = Watch(Fault({"read": sqlite3.SQLITE_IOERR_SHORT_READ}, 1, for_good=True))
    with (
        Shim(watch),
        closing(connected(tmp_path / "s.db")) as connection,
        pytest.raises(sqlite3.DatabaseError, match="not a database"),
    ):
        connection.execute("SELECT * FROM t")


def test_a_slow_sync(tmp_path: Path) -> None:
    """A sync takes as long as it is told to, and lets other threads run meanwhile."""
    with Shim(Watch()) as watch, closing(connected(tmp_path / "s.db")) as connection:
        connection.execute("CREATE TABLE t (x)")
        watch.sync_delay_s = 0.05
        syncs, began_s = watch.counts["sync"], time.monotonic()
        connection.execute("INSERT INTO t VALUES (1)")
        assert time.monotonic() - began_s >= 0.05 * (watch.counts["sync"] - syncs) > 0


def test_sleep_takes_no_time(tmp_path: Path) -> None:
    """SQLite's own waiting for a lock takes no time here, and ends as it would."""
    with Shim(Watch()), closing(connected(tmp_path / "s.db")) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with (
            closing(sqlite3.connect(tmp_path / "s.db", timeout=600)) as other,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            other.execute("CREATE TABLE t (x)")


def test_an_exception_comes_out(tmp_path: Path) -> None:
    """An exception that was raised within a call is raised where the block ends, and not lost."""

    def fail(_: Call) -> None:
        raise LookupError("a bug in a test")

    with (
        pytest.raises(LookupError, match="a bug"),
        Shim(Watch(done=fail)),
        pytest.raises(sqlite3.OperationalError),
    ):
        write_and_read(tmp_path / "s.db")


def test_what_is_left_open_is_named(tmp_path: Path) -> None:
    """A connection that outlives the block is an error, and may still be closed."""
    shim = Shim(Watch())
    shim.__enter__()
    connection = connected(tmp_path / "s.db")
    connection.execute("CREATE TABLE t (x)")
    with pytest.raises(RuntimeError, match="left open"):
        shim.__exit__()
    connection.close()


def test_no_method_beyond_the_version() -> None:
    """A file of an older kind gets no methods that it does not have: SQLite would call them."""
    shim = Shim(Watch())
    for version, last in ((1, "xDeviceCharacteristics"), (2, "xShmUnmap"), (3, "xUnfetch")):
        real = IoMethods(version)
        for name, kind in IoMethods._fields_[1:]:
            setattr(real, name, kind(_nothing))
        ours, _ = shim._table(ctypes.addressof(real))
        given = [name for name in METHODS_SINCE if getattr(ours, name)]
        assert (version, last) == (ours.iVersion, given[-1])
        assert [name for name, since in METHODS_SINCE.items() if since <= version] == given


def test_a_method_that_is_not_there() -> None:
    """Where a file has no method of its version, the shim has none either."""
    real = IoMethods(3)
    real.xRead = dict(IoMethods._fields_)["xRead"](_nothing)
    ours, _ = Shim(Watch())._table(ctypes.addressof(real))
    assert (True, False) == (bool(ours.xRead), bool(ours.xFetch))


def test_a_static_sqlite_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter whose SQLite cannot be reached fails these tests, and says why."""
    look: Callable[[], object] = sqlite_abi.library.__wrapped__
    monkeypatch.setattr(sqlite_abi, "mapped", lambda _: None)
    with pytest.raises(pytest.fail.Exception, match="linked statically"):
        look()
    assert "libsqlite3-0" in STATIC


def test_mapped() -> None:
    """The library is found in the process's maps, whatever version its name ends with."""
    lines = "7f0-7f1 r-xp 0 fe:00 12 /usr/bin/python3.11\n7f2-7f3 rw-p 0 00:00 0\n"
    assert sqlite_abi.mapped(lines) is None
    path = "/usr/lib/x86_64-linux-gnu/libsqlite3.so.0.8.6"
    assert path == sqlite_abi.mapped(f"{lines}7f4-7f5 r--p 0 fe:00 9                  {path}\n")


def _nothing(*_: object) -> int:
    return 0
