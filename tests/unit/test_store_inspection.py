"""A look at the whole store: bounded in time, and only a look."""

from __future__ import annotations

import sqlite3
import time
from functools import partial
from pathlib import Path

import pytest

from plivostatusd.store.inspection import inspect
from tests.unit.store_place import opened, uuid

PAGE_BYTES = 4_096


async def filled(folder: Path, messages: int = 40) -> Path:
    """Make a store with something in it, whole in its file."""
    async with opened(folder) as place:
        for number in range(messages):
            await place.record(message_uuid=uuid(number), status="sent")
    return place.path


async def test_sound(tmp_path: Path) -> None:
    """Of a sound store nothing is complained about, and not a byte is changed."""
    path = await filled(tmp_path)
    before = path.read_bytes()
    found = inspect(path, within_s=60)
    assert (None, True) == (found.fault, found.finished)
    assert 0 < found.seconds < 60
    assert before == path.read_bytes()


async def test_beside_the_writer(tmp_path: Path) -> None:
    """It can look while the store is written to."""
    async with opened(tmp_path) as place:
        await place.record(message_uuid=uuid(1), status="sent")
        assert inspect(place.path, within_s=60).finished
        await place.record(message_uuid=uuid(1), status="delivered")


@pytest.mark.parametrize("where", ["one page", "every page", "header"])
async def test_damaged(tmp_path: Path, where: str) -> None:
    """One page of nonsense, nothing but nonsense, or a header that is none: each is a fault."""
    path = await filled(tmp_path)
    content = bytearray(path.read_bytes())
    if where == "header":
        content[:16] = b"no database here"
    else:
        intact = PAGE_BYTES if where == "every page" else len(content) - PAGE_BYTES
        content[intact:] = b"\x5a" * (len(content) - intact)
    path.write_bytes(content)
    found = inspect(path, within_s=60)
    assert found.finished
    assert found.fault


async def test_out_of_time(tmp_path: Path) -> None:
    """When its time is over it stops, and says that it has not seen everything."""
    path = await filled(tmp_path, 400)
    began_s = time.monotonic()
    found = inspect(path, within_s=0)
    assert (None, False) == (found.fault, found.finished)
    assert time.monotonic() - began_s < 30


def test_nothing_there(tmp_path: Path) -> None:
    """A store that is not there is no fault of it, and is not made by looking."""
    with pytest.raises(sqlite3.Error):
        inspect(tmp_path / "status.db", within_s=60)
    assert [] == list(tmp_path.iterdir())


async def test_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That it cannot be looked at says nothing of the store, and is told as what it is."""
    path = await filled(tmp_path)
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", partial(connect, timeout=0))
    with connect(path, isolation_level=None) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            inspect(path, within_s=60)
        other.execute("ROLLBACK")
    other.close()
