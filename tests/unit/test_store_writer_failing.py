"""The writer when the store cannot take a commit: locked, full, broken at the last step."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from plivostatusd.domain.errors import StoreUnavailable, Undecided
from plivostatusd.store.handle import Handle
from plivostatusd.store.transaction import Transaction
from plivostatusd.store.writer import Writer, overwrite
from tests.logbook import Logbook
from tests.unit.faulty_connection import FaultyConnection
from tests.unit.store_place import Place, insert_fact, opened, rows_of

NAMES = "SELECT name FROM facts WHERE name LIKE 'job %' ORDER BY name"


@contextmanager
def locked(path: Path) -> Iterator[sqlite3.Connection]:
    """Hold the store's write lock as another program would."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


@contextmanager
def full_disk(place: Place) -> Iterator[None]:
    """Let the system refuse every byte that would make the write-ahead log longer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = Path(f"{place.path}-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def remove(name: str, transaction: Transaction) -> bool:
    """Take back what `insert_fact` wrote."""
    return bool(transaction.execute("DELETE FROM facts WHERE name = ?", (name,)).rowcount)


def insert(writer: Writer, name: str) -> asyncio.Future[Any]:
    """Submit a job that is taken back should its COMMIT fail."""
    return writer.submit(partial(insert_fact, name=name), undo=partial(remove, name))


@pytest.mark.expect_log("batch_failed.*locked")
async def test_the_impatient_hear_in_time(tmp_path: Path) -> None:
    """While another program locks the store the impatient are refused in time; others wait on."""
    async with opened(tmp_path, commit_timeout_s=0.1) as place:
        with locked(place.path):
            patient = place.writer.submit(partial(insert_fact, name="job patient"))
            impatient = place.writer.submit(lambda _: None, impatient=True)
            behind = place.writer.submit(partial(insert_fact, name="job behind"))
            with pytest.raises(StoreUnavailable, match="too long"):
                await impatient
            assert not patient.done()
            assert not behind.done()
        assert ("job patient", "job behind") == (await patient, await behind)
        with locked(place.path), pytest.raises(StoreUnavailable, match="locked"):
            await place.writer.submit(lambda _: None)


async def test_those_behind_a_stuck_batch_hear_in_time(tmp_path: Path) -> None:
    """Impatient jobs behind a batch that is stuck are refused and never run; the others run."""
    async with opened(tmp_path, commit_timeout_s=0.1) as place:
        with locked(place.path):
            stuck = place.writer.submit(lambda _: "stuck")
            await asyncio.sleep(0)
            waits = place.writer.submit(partial(insert_fact, name="job waits"))
            gives_up = place.writer.submit(partial(insert_fact, name="job gone"), impatient=True)
            gone = place.writer.submit(partial(insert_fact, name="job left"))
            gone.cancel()
            with pytest.raises(StoreUnavailable):
                await gives_up
            assert 2 == place.writer.waiting
        assert ("stuck", "job waits") == (await stuck, await waits)
        assert ["job left", "job waits"] == place.rows(NAMES)


@pytest.mark.expect_log("batch_failed")
async def test_a_full_disk(tmp_path: Path, logbook: Logbook) -> None:
    """What cannot be written is refused to each waiter, said once in the log, and gone."""
    async with opened(tmp_path) as place:
        await insert(place.writer, "job before")
        with full_disk(place):
            for _ in range(2):
                futures = [insert(place.writer, f"job {n}") for n in range(2)]
                outcomes = await asyncio.gather(*futures, return_exceptions=True)
                assert all(isinstance(each, StoreUnavailable) for each in outcomes)
                assert outcomes[0] is not outcomes[1]
                assert place.writer.failing
        assert 1 == len(logbook.events("batch_failed"))
        assert ["job before"] == place.rows(NAMES)
        await insert(place.writer, "job after")
        assert not place.writer.failing
        assert 1 == len(logbook.events("store_recovered"))
        assert ["job after", "job before"] == place.rows(NAMES)


async def with_faults(path: Path) -> tuple[FaultyConnection, Writer]:
    """Open a writer whose COMMITs go wrong as the test says."""
    faulty = FaultyConnection(path)
    writer = Writer(Handle(path, lambda _: cast("sqlite3.Connection", faulty)), commit_timeout_s=5)
    await writer.open()
    return faulty, writer


@pytest.mark.expect_log("batch_failed")
async def test_a_failing_commit_is_undone_first(tmp_path: Path) -> None:
    """Nobody hears that nothing was committed before what a failed COMMIT left is undone."""
    path = tmp_path / "status.db"
    faulty, writer = await with_faults(path)
    faulty.faults = ["with"]
    with pytest.raises(StoreUnavailable):
        await insert(writer, "job void")
    assert [] == rows_of(path, NAMES)
    await writer.close()


@pytest.mark.expect_log("batch_failed")
async def test_a_job_without_an_undo_of_its_own(tmp_path: Path) -> None:
    """Its waiter hears 503 once another transaction stands where its failed COMMIT did."""
    path = tmp_path / "status.db"
    faulty, writer = await with_faults(path)
    faulty.faults = ["without", "without"]
    unsure = writer.submit(partial(insert_fact, name="job void"), undo=overwrite)
    while not writer.failing:  # noqa: ASYNC110 - nothing else says so: its future must not be done
        await asyncio.sleep(0)
    assert not unsure.done()
    with pytest.raises(StoreUnavailable):
        await unsure
    assert [] == rows_of(path, NAMES)
    await writer.close()


@pytest.mark.expect_log("undo_failed")
@pytest.mark.expect_log("batch_failed")
async def test_an_undo_that_raises(tmp_path: Path) -> None:
    """A bug in one undo leaves its own waiter undecided, and nobody else."""

    def undo(_: Transaction) -> None:
        raise ValueError

    path = tmp_path / "status.db"
    faulty, writer = await with_faults(path)
    faulty.faults = ["without"]
    with pytest.raises(Undecided):
        await writer.submit(partial(insert_fact, name="job void"), undo=undo)
    assert "job after" == await writer.submit(partial(insert_fact, name="job after"))
    await writer.close()


@pytest.mark.expect_log("batch_failed")
async def test_nobody_is_answered_before_it_is_undone(tmp_path: Path) -> None:
    """While what a failed COMMIT left cannot be undone, its waiter is told nothing at all."""
    path = tmp_path / "status.db"
    faulty, writer = await with_faults(path)
    faulty.faults = ["with", "without", "without"]
    unsure = insert(writer, "job void")
    while not writer.failing:  # noqa: ASYNC110 - nothing else says so: its future must not be done
        await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable):
        await writer.submit(partial(insert_fact, name="job never"))
    assert not unsure.done()
    assert ["job void"] == rows_of(path, NAMES)
    with pytest.raises(StoreUnavailable):
        await unsure  # tried again by itself, with no job to follow
    assert [] == rows_of(path, NAMES)
    await writer.close()


@pytest.mark.expect_log("batch_failed")
async def test_undone_at_the_end_if_not_before(tmp_path: Path) -> None:
    """What is not undone yet when the writer stops is undone before it is closed."""
    path = tmp_path / "status.db"
    faulty, writer = await with_faults(path)
    faulty.faults = ["with", "without"]
    unsure = insert(writer, "job void")
    await writer.close()
    with pytest.raises(StoreUnavailable):
        await unsure
    assert [] == rows_of(path, NAMES)


@pytest.mark.expect_log("batch_failed")
async def test_what_cannot_be_undone_is_undecided(tmp_path: Path) -> None:
    """When the end comes before the undoing, nobody is told that nothing was recorded."""
    path = tmp_path / "status.db"
    faulty, writer = await with_faults(path)
    faulty.faults = ["with", "without", "without"]
    unsure = insert(writer, "job void")
    await writer.close()
    with pytest.raises(Undecided):
        await unsure
    assert ["job void"] == rows_of(path, NAMES)


@pytest.mark.expect_log("batch_failed")
async def test_what_was_not_written_is_forgotten(tmp_path: Path) -> None:
    """What a failing COMMIT did not write is looked for once, and not for ever."""
    faulty, writer = await with_faults(tmp_path / "status.db")
    looked: list[Transaction] = []
    for times in (1, 2):
        faulty.faults = ["without"]
        with pytest.raises(StoreUnavailable):
            await writer.submit(lambda _: None, undo=looked.append)
        await writer.submit(lambda _: None)
        assert times == len(looked)
    await writer.close()


@pytest.mark.expect_log("batch_failed")
async def test_no_waiter_is_forgotten(tmp_path: Path) -> None:
    """A fault that nobody foresaw reaches every waiter too, and the next job runs."""
    _, writer = await with_faults(tmp_path / "status.db")

    def lie(transaction: Transaction) -> None:
        transaction.execute("ROLLBACK")

    futures = [writer.submit(lambda _: None), writer.submit(lie)]
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    assert ["StoreUnavailable"] * 2 == [type(each).__name__ for each in outcomes]
    await writer.submit(lambda _: None)
    await writer.close()


@pytest.mark.expect_log("batch_failed")
async def test_a_disk_that_fills_up_among_the_bad(tmp_path: Path) -> None:
    """When the store fails while a bad job is being looked for, nobody is told of success."""
    async with opened(tmp_path) as place:
        runs = []

        def fill(transaction: Transaction) -> None:
            runs.append(transaction)
            if len(runs) == 2:
                transaction.execute(f"PRAGMA max_page_count = {1}")
                insert_fact(transaction, "job big", "x" * 1_000_000)
            raise LookupError("a bug")

        futures = [
            place.writer.submit(partial(insert_fact, name="job 1")),
            place.writer.submit(fill),
        ]
        outcomes = await asyncio.gather(*futures, return_exceptions=True)
        assert ["StoreUnavailable"] * 2 == [type(each).__name__ for each in outcomes]
        assert [] == place.rows(NAMES)
