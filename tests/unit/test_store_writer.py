"""The writer when all is well with the disk: batches, each waiter's own outcome, the end."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from plivostatusd.domain.errors import KeyReused, StoreUnavailable
from plivostatusd.store.line import PATIENT_PER_BATCH_MAX
from plivostatusd.store.transaction import Transaction
from tests.unit.store_place import Place, insert_fact, opened, rows_of

NAMES = "SELECT name FROM facts WHERE name LIKE 'job %' ORDER BY name"


def jobs(place: Place, *numbers: int) -> list[asyncio.Future[Any]]:
    """Submit one small job a number."""
    return [place.writer.submit(partial(insert_fact, name=f"job {n:04}")) for n in numbers]


def refuse(transaction: Transaction) -> None:
    """Be a job that is refused."""
    raise KeyReused


def bug(transaction: Transaction) -> None:
    """Be a job with a bug, found after it has written and counted."""
    insert_fact(transaction, "job of the bug")
    transaction.move(None, "nonsense")
    raise LookupError("a bug")


async def test_waiting_jobs_share_one_transaction(tmp_path: Path) -> None:
    """Jobs that wait at the same moment are committed together, up to the batch's limit."""
    async with opened(tmp_path) as place:
        done = await asyncio.gather(*jobs(place, *range(PATIENT_PER_BATCH_MAX + 1)))
        assert [f"job {n:04}" for n in range(PATIENT_PER_BATCH_MAX + 1)] == done
        assert 2 == place.writer.commits
        assert done == place.rows(NAMES)


async def test_a_batch_grows_behind_a_commit(tmp_path: Path) -> None:
    """What is submitted while a batch is on its way waits, and goes together in the next one."""
    async with opened(tmp_path) as place:
        first = place.writer.submit(lambda _: None)
        await asyncio.sleep(0)
        later = jobs(place, 1, 2, 3)
        assert 3 == place.writer.waiting
        await asyncio.gather(first, *later)
        assert 2 == place.writer.commits


async def test_done_means_committed(tmp_path: Path) -> None:
    """When a future is done, another connection reads what its job wrote."""
    async with opened(tmp_path) as place:
        (future,) = jobs(place, 1)
        seen: list[list[str]] = []
        future.add_done_callback(lambda _: seen.append(place.rows(NAMES)))
        await future
        assert [["job 0001"]] == seen


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (partial(insert_fact, name="job bad", value=None), "IntegrityError"),
        (partial(insert_fact, name="job bad", value=object()), "ProgrammingError"),
        (partial(insert_fact, name="job bad", value=2**64), "OverflowError"),
        (lambda tx: tx.execute("INSERT INTO nothing VALUES (1)"), "OperationalError"),
        (bug, "LookupError"),
    ],
    ids=["constraint", "type", "size", "sql", "bug"],
)
async def test_one_bad_job_fails_alone(tmp_path: Path, fault: Any, error: str) -> None:
    """A job that cannot be written fails with its own error; its neighbours are committed."""
    async with opened(tmp_path) as place:
        before, after = jobs(place, 1, 2), None
        bad = place.writer.submit(fault)
        after = jobs(place, 3)
        outcomes = await asyncio.gather(*before, bad, *after, return_exceptions=True)
        assert error == type(outcomes.pop(2)).__name__
        assert ["job 0001", "job 0002", "job 0003"] == outcomes == place.rows(NAMES)
        assert 1 == place.writer.commits
        assert not place.writer.failing


async def test_a_refusal_is_one_jobs_own(tmp_path: Path) -> None:
    """A job that refuses is told so, and its neighbours are committed with it, at once."""
    async with opened(tmp_path) as place:
        futures = [*jobs(place, 1), place.writer.submit(refuse), *jobs(place, 2)]
        outcomes = await asyncio.gather(*futures, return_exceptions=True)
        assert ["job 0001", "job 0002"] == [outcomes[0], outcomes[2]] == place.rows(NAMES)
        assert isinstance(outcomes[1], KeyReused)
        assert 1 == place.writer.commits


async def test_refused_among_the_bad(tmp_path: Path) -> None:
    """In a batch with a bad job the refused one is still told of its refusal."""
    async with opened(tmp_path) as place:
        futures = [place.writer.submit(bug), place.writer.submit(refuse), *jobs(place, 1)]
        outcomes = await asyncio.gather(*futures, return_exceptions=True)
        assert ["LookupError", "KeyReused", "str"] == [type(each).__name__ for each in outcomes]


async def test_tallies_of_a_bad_job_are_not_kept(tmp_path: Path) -> None:
    """What a bad job counted is forgotten with what it wrote."""

    def count_one(transaction: Transaction) -> int:
        transaction.move(None, "outbox.counted")
        return transaction.tally("outbox.counted")

    async with opened(tmp_path) as place:
        submit = place.writer.submit
        outcomes = await asyncio.gather(
            submit(count_one), submit(bug), submit(count_one), return_exceptions=True
        )
        assert [1, 2] == [outcomes[0], outcomes[2]]
        assert [("outbox.counted", 2)] == place.rows("SELECT * FROM tallies")
        await submit(lambda tx: tx.move("outbox.counted", "outbox.counted"))
        assert [2] == place.rows("SELECT n FROM tallies")
        for _ in range(2):
            await submit(lambda tx: tx.move("outbox.counted", None))


async def test_a_cancelled_caller_loses_nothing(tmp_path: Path) -> None:
    """A caller that goes away neither stops its job nor has it run twice, nor harms the others."""
    async with opened(tmp_path) as place:
        gone, stays = jobs(place, 1, 2)
        waiting = asyncio.ensure_future(asyncio.wait_for(gone, 60))
        await asyncio.sleep(0)
        waiting.cancel()
        assert "job 0002" == await stays
        assert gone.cancelled()
        assert ["job 0001", "job 0002"] == place.rows(NAMES)


async def test_close_commits_what_waits(tmp_path: Path) -> None:
    """Everything submitted before the end is committed, and every waiter hears of it."""
    async with opened(tmp_path) as place:
        futures = jobs(place, *range(PATIENT_PER_BATCH_MAX * 2))
        await place.writer.close()
        assert all(future.done() and future.exception() is None for future in futures)
        assert PATIENT_PER_BATCH_MAX * 2 == len(place.rows(NAMES))


async def test_closed_takes_nothing(tmp_path: Path) -> None:
    """After the end a job is refused, not forgotten."""
    async with opened(tmp_path) as place:
        await place.writer.close()
        assert place.writer.closed
        with pytest.raises(StoreUnavailable):
            await place.writer.submit(lambda _: None)


async def test_the_last_one_checkpoints(tmp_path: Path) -> None:
    """After the end all is in the one file, with no log beside it."""
    async with opened(tmp_path) as place:
        await asyncio.gather(*jobs(place, 1))
    assert ["status.db"] == os.listdir(tmp_path)  # noqa: PTH208 - one look, in a coroutine
    assert ["job 0001"] == rows_of(tmp_path / "status.db", NAMES)


async def test_changed_wakes_at_a_commit(tmp_path: Path) -> None:
    """Whoever waits for a change sleeps until the next commit, and is not disturbed by another."""
    async with opened(tmp_path) as place:
        first, second = (asyncio.ensure_future(place.writer.changed()) for _ in range(2))
        await asyncio.sleep(0)
        assert not first.done()
        second.cancel()
        await asyncio.gather(*jobs(place, 1))
        await asyncio.wait_for(first, 5)
