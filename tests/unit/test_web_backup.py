"""`POST /backup`: a copy for an operator, or an answer that says why there is none."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tornado.ioloop import IOLoop

from plivostatusd.domain.errors import NoRoom, StoreDamaged
from plivostatusd.store import backup
from plivostatusd.store.backup import Copy
from tests.logbook import Logbook
from tests.unit.listeners import Listeners, callback, running, until
from tests.wire import Wire, spelt

REQUEST = spelt("POST", "/backup", b"")


@pytest.fixture
def house(io_loop: IOLoop, tmp_path: Path) -> Iterator[Listeners]:
    """Both listeners, over an empty store."""
    with running(io_loop, tmp_path) as listeners:
        yield listeners


class Slow:
    """A copy that is made when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.goes_on = threading.Event()
        self.begun = 0
        self.copies: list[Copy] = []
        self._take = backup.take
        monkeypatch.setattr(backup, "take", self)

    def __call__(self, path: Path) -> Copy:
        """Make it, once it may go on."""
        self.begun += 1
        assert self.goes_on.wait(20)
        self.copies.append(self._take(path))
        return self.copies[-1]


async def test_a_copy(house: Listeners) -> None:
    """An operator gets a whole SQLite file, and its size and digest before it."""
    assert 200 == (await house.deliver(callback(house))).status
    reply = await house.operator("POST", "/backup", b"")
    assert (200, "application/vnd.sqlite3") == (reply.status, reply.headers["Content-Type"])
    assert reply.body.startswith(b"SQLite format 3\0")
    assert str(len(reply.body)) == reply.headers["X-Backup-Bytes"]
    digest = base64.b64encode(hashlib.sha256(reply.body).digest()).decode()
    assert f"sha-256=:{digest}:" == reply.headers["Repr-Digest"]
    status = house.store_path.stat()
    assert f"{status.st_dev}:{status.st_ino}" == reply.headers["X-Store-File"]
    assert "0" == reply.headers["X-Backup-Spooled"]


async def test_for_operators_alone(house: Listeners) -> None:
    """Over TCP nobody gets one, and nobody by GET."""
    assert 403 == (await house.api("POST", "/backup", b"")).status
    assert 405 == (await house.operator("GET", "/backup")).status
    assert 400 == (await house.operator("POST", "/backup?to=file", b"")).status


async def test_no_room(house: Listeners, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without room: 507, with what to type."""
    real = os.statvfs(house.folder)
    few = os.statvfs_result((*real[:4], 10, *real[5:]))  # f_bavail
    monkeypatch.setattr(os, "statvfs", lambda _: few)
    reply = await house.operator("POST", "/backup", b"")
    assert (507, "urn:plivostatusd:problem:no-room") == (reply.status, reply.json["type"])
    assert reply.json["hint"].startswith("df -h ")


@pytest.mark.expect_log("store_damaged")
async def test_damage(house: Listeners, monkeypatch: pytest.MonkeyPatch, logbook: Logbook) -> None:
    """Damage that a copy shows is the store's: 503, and nothing is written from then on."""

    def take(_: Path) -> Copy:
        raise StoreDamaged("The store's copy shows damage", command="plivostatusd --restore X")

    monkeypatch.setattr(backup, "take", take)
    reply = await house.operator("POST", "/backup", b"")
    assert (503, "urn:plivostatusd:problem:store-damaged") == (reply.status, reply.json["type"])
    await until(lambda: logbook.events("store_damaged"))
    assert house.writer.damage


async def test_a_disk_that_fails(house: Listeners, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the copy cannot be written: 503, and the sentence says why."""

    def take(_: Path) -> Copy:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "take", take)
    reply = await house.operator("POST", "/backup", b"")
    assert (503, True) == (reply.status, "No space left" in reply.json["detail"])


async def test_one_at_a_time(house: Listeners, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two who ask at once get a copy each, one after the other."""
    slow = Slow(monkeypatch)
    asked = [asyncio.ensure_future(house.operator("POST", "/backup", b"")) for _ in range(2)]
    await until(lambda: slow.begun)
    for _ in range(100):
        await asyncio.sleep(0)
    assert 1 == slow.begun
    slow.goes_on.set()
    assert [200, 200] == [(await each).status for each in asked]
    assert 2 == slow.begun


async def test_who_goes_away_leaves_nothing(
    house: Listeners, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy for a client that is gone by then is closed, and counts as over."""
    slow = Slow(monkeypatch)
    async with Wire.to(house.api_socket) as wire:
        await wire.write(REQUEST)
        await until(lambda: slow.begun)
    await until(lambda: house.services.in_flight.count == 0)
    slow.goes_on.set()
    await until(lambda: slow.copies and slow.copies[0].file.closed)
    assert 200 == (await house.operator("POST", "/backup", b"")).status


async def test_a_daemon_that_stops(house: Listeners, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that stops does not wait for a copy: 503."""
    slow = Slow(monkeypatch)
    async with Wire.to(house.api_socket) as wire:
        await wire.write(REQUEST)
        await until(lambda: slow.begun)
        house.services.stopping.set()
        assert 503 == (await wire.answer()).status
        slow.goes_on.set()
        await until(lambda: slow.copies and slow.copies[0].file.closed)


def test_no_room_says_why() -> None:
    """The refusal has its own words where none are given."""
    assert "no room" in NoRoom().detail
