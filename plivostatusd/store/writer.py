"""
The writer: sole owner of the connection that writes, and of its thread.

It promises that a submitted job's future is done only after COMMIT (`synchronous=FULL`: after
fsync), that every waiter hears its own outcome, and that one bad row never fails its neighbours.
Jobs that wait at the same moment share one transaction (group commit): nothing waits for a timer,
and a batch grows while the one before it is on its way to disk. A batch is one hop to the thread.

The connection is plain sqlite3 in a thread of our own, because a transaction through aiosqlite is
three hops or more and can be left open by a cancelled caller (DECISIONS.md, 2026-11-23).
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from plivostatusd.domain.errors import Refusal, StoreUnavailable
from plivostatusd.log import get_logger
from plivostatusd.store.transaction import Transaction

log = get_logger()

JOBS_PER_BATCH_MAX: Final = 512

Job = Callable[[Transaction], Any]
Undo = Callable[[Transaction], bool]
Instead = Callable[[asyncio.Future[Any], StoreUnavailable], None]

_ROW_ERRORS: Final = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)
_PRIMARY_CODE: Final = 0xFF


@dataclass(slots=True)
class _Waiting:
    job: Job
    future: asyncio.Future[Any]
    impatient: bool
    undo: Undo | None
    instead: Instead | None
    since_s: float
    is_handed_over: bool = False

    def fail(self, error: StoreUnavailable) -> None:
        """Say that it is not committed; whoever stands in is handed the future, once."""
        if self.is_handed_over:
            return
        if self.instead is None:
            self.future.set_exception(error)
        else:
            self.is_handed_over = True
            self.instead(self.future, error)


@dataclass(slots=True)
class _Outcome:
    value: Any = None
    error: BaseException | None = None


class Writer:
    """
    Runs jobs in group-committed transactions. Made and used on the event loop's thread.

    *commit_timeout_s* bounds how long an impatient waiter waits; its job may still commit later,
    which is harmless for a callback, because recording one is idempotent.
    """

    def __init__(self, connection: sqlite3.Connection, *, commit_timeout_s: float) -> None:
        self.commit_timeout_s = commit_timeout_s
        self.commits = 0
        self._connection = connection
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        self._waiting: deque[_Waiting] = deque()
        self._undo: list[Undo] = []
        self._running: asyncio.Task[None] | None = None
        self._failing = False
        self._closed = False
        self._changed: asyncio.Future[None] | None = None

    @property
    def waiting(self) -> int:
        """How many jobs wait for the batch after this one."""
        return len(self._waiting)

    @property
    def closed(self) -> bool:
        """Say whether the writer takes no more jobs."""
        return self._closed

    @property
    def failing(self) -> bool:
        """Say whether the last batch could not be committed."""
        return self._failing

    def submit(
        self,
        job: Job,
        *,
        impatient: bool = False,
        undo: Undo | None = None,
        instead: Instead | None = None,
    ) -> asyncio.Future[Any]:
        """
        Run *job* in the next transaction; the future holds what it returned, after COMMIT.

        The future fails with the `Refusal` that the job raised, with `StoreUnavailable` when the
        commit did not happen, or with the job's own bug. Cancelling it takes nothing back. *undo*
        takes back what a COMMIT that reported an error has written all the same, and says whether
        it found anything; it runs before any later job. *instead* is handed the future in place of
        `StoreUnavailable`, and sees that it is done.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        if self._closed:
            waiting = _Waiting(job, future, impatient, undo, instead, loop.time())
            waiting.fail(StoreUnavailable("The daemon is stopping"))
            return future
        self._waiting.append(_Waiting(job, future, impatient, undo, instead, loop.time()))
        if self._running is None:
            self._running = loop.create_task(self._run())
        return future

    async def changed(self) -> None:
        """Return after the next commit."""
        if self._changed is None:
            self._changed = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._changed)

    async def close(self) -> None:
        """Commit what waits, then close the connection; the last one to close checkpoints."""
        self._closed = True
        while self._running is not None:
            await asyncio.wait([self._running])
        loop = asyncio.get_running_loop()
        if self._undo:
            await loop.run_in_executor(self._thread, self._commit, [])
        await loop.run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                count = min(len(self._waiting), JOBS_PER_BATCH_MAX)
                batch = [self._waiting.popleft() for _ in range(count)]
                commit = loop.run_in_executor(self._thread, self._commit, batch)
                while not commit.done():
                    await asyncio.wait([commit], timeout=self.commit_timeout_s / 4)
                    self._give_up(batch, loop.time() - self.commit_timeout_s)
                self._tell(batch, commit.result())
        finally:
            self._running = None

    def _give_up(self, batch: list[_Waiting], before_s: float) -> None:
        """Answer the impatient who came before *before_s*, in this batch or behind it."""
        if batch[0].since_s >= before_s:
            return
        kept: deque[_Waiting] = deque()
        for waiting in batch:
            _refuse_late(waiting, before_s)
        for waiting in self._waiting:
            if not _refuse_late(waiting, before_s):
                kept.append(waiting)
        self._waiting = kept

    def _tell(self, batch: list[_Waiting], outcomes: list[_Outcome]) -> None:
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if waiting.future.done():
                continue
            if outcome.error is None:
                waiting.future.set_result(outcome.value)
            elif isinstance(outcome.error, StoreUnavailable):
                waiting.fail(outcome.error)
            else:
                waiting.future.set_exception(outcome.error)
        self._note_health(outcomes)
        if self._changed is not None and not self._failing:
            self._changed.set_result(None)
            self._changed = None

    def _note_health(self, outcomes: list[_Outcome]) -> None:
        failed = isinstance(outcomes[0].error, StoreUnavailable)  # it is the whole batch's then
        if failed and not self._failing:
            error = outcomes[0].error
            log.error("batch_failed", error=str(error), hint=StoreUnavailable.hint)
        elif self._failing and not failed:
            log.info("store_recovered")
        self._failing = failed

    # What follows runs on the writer's thread.

    def _commit(self, batch: list[_Waiting]) -> list[_Outcome]:
        try:
            try:
                return self._transact(batch, _run_job)
            except Exception as error:
                if not _is_of_one_job(error):
                    raise
            return self._transact(batch, _run_alone)
        except Exception as error:  # noqa: BLE001 - every waiter hears of it
            return [_Outcome(error=_unavailable(error)) for _ in batch]

    def _transact(
        self, batch: list[_Waiting], run: Callable[[Transaction, Job], _Outcome]
    ) -> list[_Outcome]:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        committing = False
        try:
            transaction = Transaction(connection)
            if self._undo:
                self._undo = [undo for undo in self._undo if undo(transaction)]
            outcomes = [run(transaction, waiting.job) for waiting in batch]
            transaction.write_tallies()
            committing = True
            connection.execute("COMMIT")
        except BaseException:
            if committing:
                self._undo += [waiting.undo for waiting in batch if waiting.undo]
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._undo.clear()
        self.commits += 1
        return outcomes


def _refuse_late(waiting: _Waiting, before_s: float) -> bool:
    """Answer one that lost its patience; False for one that waits on, or needs no answer."""
    if not waiting.impatient or waiting.since_s >= before_s:
        return False
    if waiting.future.done() or waiting.is_handed_over:
        return False
    waiting.fail(StoreUnavailable("The commit took too long"))
    return True


def _is_of_one_job(error: Exception) -> bool:
    """Say whether a job's row, or its bug, is at fault: then only that job need fail."""
    if not isinstance(error, sqlite3.Error) or isinstance(error, _ROW_ERRORS):
        return True
    # SQLITE_ERROR is SQL that cannot be run; a full disk, a lock and the like have their own codes.
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & _PRIMARY_CODE == sqlite3.SQLITE_ERROR


def _unavailable(error: Exception) -> StoreUnavailable:
    unavailable = StoreUnavailable(f"{type(error).__name__}: {error}")
    unavailable.__cause__ = error
    return unavailable


def _run_job(transaction: Transaction, job: Job) -> _Outcome:
    try:
        return _Outcome(job(transaction))
    except Refusal as refusal:
        return _Outcome(error=refusal)


def _run_alone(transaction: Transaction, job: Job) -> _Outcome:
    """Run a job in a savepoint of its own: one of its batch is bad, and only that one may fail."""
    moves = transaction.snapshot()
    transaction.execute("SAVEPOINT job")
    try:
        outcome = _run_job(transaction, job)
    except Exception as error:
        if not _is_of_one_job(error):
            raise
        outcome = _Outcome(error=error)
    if outcome.error is not None:
        transaction.execute("ROLLBACK TO job")
        transaction.put_back(moves)
    transaction.execute("RELEASE job")
    return outcome
