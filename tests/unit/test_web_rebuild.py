"""`POST /rebuild` and `plivostatusctl rebuild`: history is folded again, and compared."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from plivostatusd.domain.errors import StoreDamaged
from plivostatusd.store import asks, figures, rebuilding
from tests.unit.listeners import Listeners, callback, running
from tests.unit.store_place import uuid


@pytest.fixture
def house(io_loop: IOLoop, tmp_path: Path) -> Iterator[Listeners]:
    """Both listeners, over an empty store."""
    with running(io_loop, tmp_path) as listeners:
        yield listeners


async def rebuild(house: Listeners, **demand: Any) -> list[dict[str, Any]]:
    """Ask for it; the lines of the answer come back."""
    reply = await house.operator("POST", "/rebuild", demand)
    assert (200, "application/x-ndjson") == (reply.status, reply.headers["Content-Type"])
    return [json.loads(line) for line in reply.text.splitlines()]


async def report(house: Listeners, number: int, status: str) -> None:
    """Deliver one callback."""
    request = callback(house, status, fields={"MessageUUID": uuid(number)})
    assert 200 == (await house.deliver(request)).status


async def spoil(house: Listeners, number: int) -> None:
    """Change a row as a bad hand with a database shell might, and let `stats` believe it."""
    sql = "UPDATE messages SET current_status = 'failed', error_code = '30' WHERE message_uuid = ?"
    await house.writer.submit(lambda tx: tx.execute(sql, (uuid(number),)).rowcount)
    await house.writer.submit(figures.recount)


async def test_no_difference(house: Listeners, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row says what its events say, however many stretches it takes to see that."""
    monkeypatch.setattr(rebuilding, "ROWS_PER_STRETCH", 3)
    for number in range(8):
        await report(house, number, "sent")
        await report(house, number, "delivered" if number % 2 else "failed")
    done = {"done": True, "compared": 8, "different": 0, "written": 0}
    assert [done] == await rebuild(house)


async def test_a_difference(house: Listeners) -> None:
    """A column that holds something else is named, and is left as it is."""
    for number in (1, 2):
        await report(house, number, "sent")
    await spoil(house, 2)
    name = (await house.api("GET", f"/messages/{uuid(2)}")).json["id"]
    for demand in ({}, {"ids": [name]}, {"ids": [uuid(2)]}):
        *found, done = await rebuild(house, **demand)
        assert {"current_status", "error_code"} == {each["column"] for each in found}
        assert {name} == {each["id"] for each in found}
        assert ("failed", "sent") == (found[0]["stored"], found[0]["folded"])
        assert (1, 0) == (done["different"], done["written"])
    assert [{"done": True, "compared": 1, "different": 0, "written": 0}] == await rebuild(
        house, ids=[uuid(1)]
    )


async def test_progress(house: Listeners, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever wants to know how far it is hears that after each stretch, and nobody else."""
    monkeypatch.setattr(rebuilding, "ROWS_PER_STRETCH", 3)
    for number in range(8):
        await report(house, number, "sent")
    *told, done = await rebuild(house, progress=True)
    assert [{"compared": n} for n in (3, 6, 8)] == told
    assert 8 == done["compared"]


@pytest.mark.expect_log("message_rebuilt")
async def test_written(house: Listeners) -> None:
    """With `write` the row becomes what its events say."""
    await report(house, 1, "sent")
    await spoil(house, 1)
    *_, done = await rebuild(house, write=True)
    assert (1, 1) == (done["different"], done["written"])
    found = (await house.api("GET", f"/messages/{uuid(1)}")).json
    assert ("sent", None) == (found["status"], found["error_code"])
    await house.writer.submit(lambda tx: tx.move("failed", "sent"))  # its tally was never moved


@pytest.mark.expect_log("message_rebuilt")
async def test_open_again(house: Listeners) -> None:
    """A message that is open after all is asked about, though those who go along have passed it."""
    await report(house, 1, "sent")
    await house.writer.submit(lambda tx: tx.execute("UPDATE messages SET final = 1").rowcount)
    (*_, done) = await rebuild(house, write=True)
    assert 1 == done["written"]
    asked = await house.writer.submit(lambda tx: asks.is_asked(tx, uuid(1)))
    assert asked


@pytest.mark.expect_log("store_damaged")
async def test_damage_met(house: Listeners) -> None:
    """Damage that is met in looking is told, and nothing is written any more."""
    for number in range(200):
        await report(house, number, "sent")
    path = house.services.store_path
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint")
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"x" * (path.stat().st_size - 4096 * 3))
    reply = await house.operator("POST", "/rebuild", {})
    assert "damaged" in reply.text
    with pytest.raises(StoreDamaged):
        await house.writer.submit(lambda _: None)


@pytest.mark.expect_log("figures_recounted days=1")
async def test_figures(house: Listeners) -> None:
    """A day whose figures are off is named, and recounted where that is asked for."""
    await report(house, 1, "sent")
    await house.writer.submit(lambda tx: tx.execute("UPDATE figures SET n = 7").rowcount)
    for demand in ({}, {"write": True}):
        first, done = await rebuild(house, **demand)
        assert "figures" == first["column"]
        assert 1 == done["different"]
    (done,) = await rebuild(house)
    assert [(1,)] == house.rows("SELECT n FROM figures")


@pytest.mark.expect_log("message_rebuilt")
@pytest.mark.expect_log("figures_recounted days=1")
async def test_a_row_changed_by_hand(house: Listeners) -> None:
    """A row written past the program is seen in its day's figures, too; `write` puts both right."""
    for number in (1, 2):
        await report(house, number, "sent")
    await spoil(house, 1)
    await house.writer.submit(lambda tx: tx.execute("UPDATE messages SET mcc = '262'").rowcount)
    *found, _ = await rebuild(house, write=True)
    assert {"current_status", "error_code", "mcc", "figures"} == {each["column"] for each in found}
    (done,) = await rebuild(house)
    assert 0 == done["different"]
    await house.writer.submit(lambda tx: tx.move("failed", "sent"))


async def test_what_is_not_there(house: Listeners) -> None:
    """An id that is nobody's is named."""
    first, done = await rebuild(house, ids=["nobody"])
    assert {"id": "nobody", "missing": True} == first
    assert 0 == done["compared"]


@pytest.mark.parametrize(
    "demand",
    [
        {"ids": "x" * 65},
        {"ids": [1]},
        {"ids": ["x"] * 1001},
        {"write": "x"},
        {"write": [1]},
        {"progress": "x"},
        {"progress": 0},
        {"write": 1},
        {"x": 1},
    ],
)
async def test_not_understood(house: Listeners, demand: dict[str, Any]) -> None:
    """A demand that makes no sense is 400 at once."""
    assert 400 == (await house.operator("POST", "/rebuild", demand)).status


async def test_for_operators(house: Listeners) -> None:
    """Over TCP nobody asks for it."""
    assert 403 == (await house.api("POST", "/rebuild", {})).status


async def test_without_a_store(house: Listeners) -> None:
    """When the store cannot be read on the way, the last line says so."""
    house.services.rebuild._path = Path("/nonexistent/status.db")
    (line,) = await rebuild(house)
    assert "store-unavailable" in line["error"]["type"]
