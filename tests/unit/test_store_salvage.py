"""What is saved of a store of which pages are damaged."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from plivostatusd.store import database
from plivostatusd.store.mending import mend
from plivostatusd.store.salvage import salvage
from plivostatusd.store.transaction import Transaction
from tests.unit.store_place import audit_connection, opened, submission, uuid

MESSAGES = 400
PAGE_BYTES = 4096


async def filled(folder: Path) -> Path:
    """Make a store whose tables take many pages each."""
    async with opened(folder) as place:
        for number in range(MESSAGES):
            await place.record(message_uuid=uuid(number), status="sent", nonces=[f"n-{number:06}"])
        rows = [(number, bytes([number]) * 16) for number in range(100)]
        place.connection.executemany("INSERT INTO nonce_pages VALUES (?, ?)", rows)
        people = [f"+1415555{number:04}" for number in range(50)]
        await place.accept(submission(to=people, key="k", text="x" * 300))
    return folder / "status.db"


def leaves(path: Path, table: str) -> list[int]:
    """Give the pages of a table that hold its rows."""
    (root,) = _one(path, "SELECT rootpage FROM sqlite_master WHERE name = ?", table)
    content, found, waiting = path.read_bytes(), [], [root]
    while waiting:
        number = waiting.pop()
        page = content[(number - 1) * PAGE_BYTES : number * PAGE_BYTES]
        if page[0] in {0x0D, 0x0A}:
            found.append(number)
        else:  # an interior page: a child stands in the first four bytes of each cell
            cells = int.from_bytes(page[3:5], "big")
            at = [int.from_bytes(page[12 + 2 * n : 14 + 2 * n], "big") for n in range(cells)]
            waiting += [int.from_bytes(page[each : each + 4], "big") for each in at]
            waiting.append(int.from_bytes(page[8:12], "big"))
    return sorted(found)


def _one(path: Path, sql: str, *arguments: object) -> tuple[int, ...]:
    with closing(sqlite3.connect(path)) as connection:
        row: tuple[int, ...] = connection.execute(sql, arguments).fetchone()
    return row


def break_pages(path: Path, pages: list[int]) -> None:
    """Overwrite pages with what no page looks like."""
    with path.open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * PAGE_BYTES)
            file.write(b"\xfe" * PAGE_BYTES)


def saved(path: Path, target: Path) -> tuple[dict[str, int], int]:
    """Salvage, and see that what comes out is a whole store."""
    found = salvage(path, target)
    with closing(database.connect_writer(target)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        mend(Transaction(connection))
        connection.execute("COMMIT")
        assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()
        assert [] == connection.execute("PRAGMA foreign_key_check").fetchall()
    return found.rows, found.holes


async def test_nothing_is_damaged(tmp_path: Path) -> None:
    """Of a store that is whole everything is saved, and it is the same store."""
    path = await filled(tmp_path)
    rows, holes = saved(path, tmp_path / "saved.db")
    assert (0, MESSAGES + 50, MESSAGES + 50) == (holes, rows["messages"], rows["events"])
    for table in ("messages", "events", "nonces", "nonce_pages", "outbox", "idempotency", "facts"):
        sql = f"SELECT * FROM {table} ORDER BY 1, 2"  # noqa: S608 - ours
        with (
            closing(sqlite3.connect(path)) as old,
            closing(sqlite3.connect(tmp_path / "saved.db")) as new,
        ):
            assert old.execute(sql).fetchall() == new.execute(sql).fetchall()
            audit_connection(new)


@pytest.mark.parametrize("table", ["messages", "events", "nonces"])
async def test_some_pages_are_damaged(tmp_path: Path, table: str, chance: random.Random) -> None:
    """A damaged page costs its own rows and no others; what pointed at them is still there."""
    path = await filled(tmp_path)
    whole = leaves(path, table)
    assert len(whole) > 3
    # Of a table without numbers one page: from both ends, what lies between two is not reached.
    break_pages(path, sorted(chance.sample(whole, 1 if table == "nonces" else 3)))
    rows, holes = saved(path, tmp_path / "saved.db")
    assert holes > 0
    (there,) = _one(tmp_path / "saved.db", f"SELECT count(*) FROM {table}")  # noqa: S608 - ours
    total = MESSAGES if table == "nonces" else MESSAGES + 50
    assert total * 0.5 < there < total
    assert rows[table] == there
    other = "messages" if table != "messages" else "events"
    assert MESSAGES + 50 == rows[other]


async def test_damaged_indexes_cost_nothing(tmp_path: Path) -> None:
    """With every index damaged, every row is saved."""
    path = await filled(tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        indexes = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE type = 'index' AND rootpage > 0"
            " AND sql IS NOT NULL"
        ).fetchall()
    break_pages(path, [page for (page,) in indexes])
    rows, holes = saved(path, tmp_path / "saved.db")
    assert (0, MESSAGES + 50, MESSAGES + 50) == (holes, rows["messages"], rows["events"])


async def test_nothing_can_be_read(tmp_path: Path) -> None:
    """Without a schema there is nothing to go by."""
    path = await filled(tmp_path)
    break_pages(path, [1])
    with pytest.raises(sqlite3.DatabaseError):
        salvage(path, tmp_path / "saved.db")
