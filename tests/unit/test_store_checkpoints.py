"""How far SQLite's log grows before it is moved: it depends on how many come together."""

from __future__ import annotations

import asyncio
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from plivostatusd.store import database
from plivostatusd.store.checkpoints import BATCHES_OF_A_RUSH, JOBS_OF_A_RUSH, Checkpoints
from tests.unit.store_place import insert_fact, opened

if TYPE_CHECKING:
    import sqlite3

    from plivostatusd.store.transaction import Transaction

SETTING = "PRAGMA wal_autocheckpoint"
FEW, MANY = database.CHECKPOINT_PAGES, database.CHECKPOINT_PAGES_IN_A_RUSH


def setting_of(connection: sqlite3.Connection) -> int:
    """Ask SQLite itself."""
    (pages,) = connection.execute(SETTING).fetchone()
    return int(pages)


def log_bytes(store: Path) -> int:
    """Say how large the log beside *store* has been."""
    return Path(f"{store}-wal").stat().st_size


@pytest.mark.parametrize(
    ("jobs", "pages"),
    [(0, FEW), (1, FEW), (JOBS_OF_A_RUSH - 1, FEW), (JOBS_OF_A_RUSH, MANY), (512, MANY)],
)
def test_a_rush_waits_less_often(tmp_path: Path, jobs: int, pages: int) -> None:
    """A large batch lets the log grow, a small one does not."""
    with closing(database.connect_writer(tmp_path / "store.db")) as connection:
        Checkpoints().fit(connection, jobs)
        assert pages == setting_of(connection)


def test_a_rush_has_an_end(tmp_path: Path) -> None:
    """Small batches between large ones are of the rush, too; after enough of them it is over."""
    with closing(database.connect_writer(tmp_path / "store.db")) as connection:
        checkpoints = Checkpoints()
        for jobs in (JOBS_OF_A_RUSH, 1, JOBS_OF_A_RUSH, *[1] * (BATCHES_OF_A_RUSH - 1)):
            checkpoints.fit(connection, jobs)
            assert MANY == setting_of(connection)
        checkpoints.fit(connection, 1)
        assert FEW == setting_of(connection)


def test_another_connection_is_fitted(tmp_path: Path) -> None:
    """What was said to one connection is not taken to hold for the next."""
    checkpoints = Checkpoints()
    for name in ("first.db", "second.db"):
        with closing(database.connect_writer(tmp_path / name)) as connection:
            checkpoints.fit(connection, JOBS_OF_A_RUSH)
            assert MANY == setting_of(connection)


def test_nothing_is_said_twice(tmp_path: Path) -> None:
    """A batch like the one before costs no statement."""
    with closing(database.connect_writer(tmp_path / "store.db")) as connection:
        checkpoints = Checkpoints()
        checkpoints.fit(connection, JOBS_OF_A_RUSH)
        said: list[str] = []
        connection.set_trace_callback(said.append)
        checkpoints.fit(connection, JOBS_OF_A_RUSH + 1)
        assert [] == said


async def test_the_writer_fits_each_batch(tmp_path: Path) -> None:
    """One job alone is in a small batch; many that wait together make a rush."""

    def ask(transaction: Transaction) -> Any:
        row = transaction.one(SETTING)
        assert row
        return row[0]

    async with opened(tmp_path) as place:
        assert FEW == await place.writer.submit(ask)
        rush = [place.writer.submit(ask) for _ in range(JOBS_OF_A_RUSH)]
        assert [MANY] * JOBS_OF_A_RUSH == await asyncio.gather(*rush)
        assert MANY == await place.writer.submit(ask)


async def test_the_log_is_cut_early(tmp_path: Path) -> None:
    """Small batches leave no log that is longer than a thousand pages and the last batch."""
    async with opened(tmp_path) as place:
        text = "x" * 200_000
        for number in range(60):
            await place.writer.submit(partial(insert_fact, name=f"job {number}", value=text))
        assert FEW * 4_096 // 2 < log_bytes(place.path) < (FEW + 200) * 4_200
