"""
The writer: sole owner of the connection that writes, and of its thread.

It promises that a submitted job's future is done only after COMMIT (`synchronous=FULL`: after
fsync), that every waiter hears its own outcome, and that one bad row never fails its neighbours.
While the store cannot be opened, or is damaged, every job fails; it is opened as soon as it can be.
Jobs that wait at the same moment share one transaction (group commit): nothing waits for a timer,
and a batch grows while the one before it is on its way to disk. A batch is one hop to the thread.
Callbacks are in the next one, whoever else waits (store/line.py).

The connection is plain sqlite3 in a thread of our own, because a transaction through aiosqlite is
three hops or more and can be left open by a cancelled caller (DECISIONS.md, 2026-11-23).
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from plivostatusd.domain.errors import (
    Refusal,
    StartRefused,
    StoreDamaged,
    StoreUnavailable,
    Undecided,
)
from plivostatusd.domain.worker import Worker
from plivostatusd.log import get_logger, together
from plivostatusd.store import database, nonces
from plivostatusd.store.checkpoints import Checkpoints
from plivostatusd.store.failure import is_of_one_job, left_nothing, unavailable
from plivostatusd.store.handle import Handle
from plivostatusd.store.ledger import Ledger
from plivostatusd.store.line import Line
from plivostatusd.store.pledge import Pledge, Told
from plivostatusd.store.transaction import Transaction

log = get_logger()

UNDO_RETRY_S: Final = 0.5
JOBS_S_MAX: Final = 20.0
"""What the jobs of a batch may take before the watchdog takes the thread for stuck."""

Job = Callable[[Transaction], Any]
Undo = Callable[[Transaction], object]
Instead = Callable[[Pledge[Any], StoreUnavailable], None]


@dataclass(slots=True)
class _Waiting:
    job: Job
    told: Told
    since_s: float
    impatient: bool = False
    undo: Undo | None = None
    instead: Callable[[StoreUnavailable], None] | None = None
    is_handed_over: bool = False
    opened: int = 0  # by which connection its COMMIT was tried

    def fail(self, error: StoreUnavailable) -> None:
        """Say that it is not committed; whoever stands in hears that in its place, once."""
        if self.is_handed_over:
            return
        if self.instead is None:
            self.told.set_exception(error)
        else:
            self.is_handed_over = True
            self.instead(error)

    def take_back(self, transaction: Transaction) -> None:
        """Undo what a COMMIT that reported an error may have written."""
        if self.undo is not None:
            self.undo(transaction)


@dataclass(slots=True)
class _Outcome:
    value: Any = None
    error: BaseException | None = None
    is_unsure: bool = False


@dataclass(slots=True)
class _Result:
    """A batch's outcomes; *undone*: whose failed COMMIT left nothing; *error*: why none worked."""

    outcomes: list[_Outcome]
    undone: list[_Waiting]
    undecided: list[_Waiting] = field(default_factory=list)
    error: StoreUnavailable | None = None
    has_written: bool = False


class Writer:
    """
    Runs jobs in group-committed transactions. Made and used on the event loop's thread.

    *commit_timeout_s* bounds how long an impatient waiter waits; its job may still commit later,
    which is harmless for a callback, because recording one is idempotent.
    """

    def __init__(self, handle: Handle, *, commit_timeout_s: float) -> None:
        self.commit_timeout_s = commit_timeout_s
        self.commits = 0
        self.worker = Worker("store-writer")
        self._handle = handle
        self._ledger, self._checkpoints = Ledger(), Checkpoints()  # the writer's thread's
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        self._waiting: Line[_Waiting] = Line()
        self._unsure: list[_Waiting] = []
        self._running: asyncio.Task[None] | None = None
        self._committing = False  # the writer's thread: the last transaction got as far as COMMIT
        self._fault: StoreUnavailable | None = None
        self._is_damage_told = False
        self._closed = False
        self._changed: asyncio.Future[None] | None = None

    async def open(self) -> None:
        """
        Open the store now, rather than with the first job.

        Raises `StartRefused`, and `StoreUnavailable` for one that may open later on, or is damaged.
        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self._open)

    def condemn(self, damage: StoreDamaged) -> None:
        """
        Hear from somebody who looked that the store is damaged: nothing is written any more.

        What comes next finds that out, and says so; it comes at once.
        """
        if not self._closed:
            self._thread.submit(self._handle.condemn, damage)
            self.submit(_do_nothing).add_done_callback(look_at_error)

    @property
    def damage(self) -> StoreDamaged | None:
        """What is wrong with the store for good; None while nothing is known."""
        return self._handle.damage

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
        """Say whether nothing could be written the last time."""
        return self._fault is not None

    @property
    def fault(self) -> StoreUnavailable | None:
        """Why nothing could be written the last time; None when something was."""
        return self._fault

    def submit(
        self, job: Job, *, impatient: bool = False, undo: Undo | None = None
    ) -> asyncio.Future[Any]:
        """
        Run *job* in the next transaction; the future holds what it returned, after COMMIT.

        *impatient* waits no longer than `commit_timeout_s`. The future fails with the `Refusal`
        that the job raised, with `StoreUnavailable` when the commit did not happen, or with the
        job's own bug. Cancelling it takes nothing back. *undo* takes back what a COMMIT that
        reported an error has written all the same; it runs before any later job, and until it is
        committed the future is not done (`Undecided` when it cannot be).
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._enqueue(_Waiting(job, future, loop.time(), impatient, undo))
        return future

    def pledge(
        self, job: Job, *, since_s: float | None = None, instead: Instead | None = None
    ) -> Pledge[Any]:
        """
        Run *job* as `submit` does, for one who is impatient from *since_s* of the loop's time on.

        *instead* is handed the pledge in place of `StoreUnavailable`, and sees that it is told.
        """
        pledge: Pledge[Any] = Pledge()
        began_s = asyncio.get_running_loop().time() if since_s is None else since_s
        stand_in = None if instead is None else partial(instead, pledge)
        self._enqueue(_Waiting(job, pledge, began_s, True, None, stand_in))
        return pledge

    def _enqueue(self, waiting: _Waiting) -> None:
        if self._closed:
            waiting.fail(StoreUnavailable("The daemon is stopping"))
            return
        self._waiting.add(waiting, is_impatient=waiting.impatient)
        if self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._run())

    async def empty_log(self) -> bool:
        """
        Move the write-ahead log into the file and cut it to nothing; False while somebody reads it.

        Raises `StoreUnavailable`.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._empty_log)

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
        if self._unsure:
            self._tell([], await loop.run_in_executor(self._thread, self._commit, []))
        self._leave_undecided()
        await loop.run_in_executor(self._thread, self._handle.close)
        self._thread.shutdown()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting or (self._unsure and await self._is_to_be_undone()):
                batch = self._waiting.take()
                commit = loop.run_in_executor(self._thread, self._commit, batch)
                while not commit.done():
                    await asyncio.wait([commit], timeout=self.commit_timeout_s / 4)
                    if not commit.done():
                        self._give_up(batch, loop.time() - self.commit_timeout_s)
                self._tell(batch, commit.result())
        finally:
            self._running = None

    async def _is_to_be_undone(self) -> bool:
        """Let the store rest, then say whether to try again what could not be undone."""
        if self._closed or self.damage is not None:
            return False
        await asyncio.sleep(UNDO_RETRY_S)
        return bool(self._unsure)

    def _give_up(self, batch: list[_Waiting], before_s: float) -> None:
        """Answer the impatient who came before *before_s*, in this batch or behind it."""
        for waiting in batch:
            _refuse_late(waiting, before_s)
        # Whoever hears may submit something at once.
        behind, self._waiting.impatient = self._waiting.impatient, deque()
        kept = [waiting for waiting in behind if not _refuse_late(waiting, before_s)]
        self._waiting.impatient.extendleft(reversed(kept))

    def _tell(self, batch: list[_Waiting], result: _Result) -> None:
        self._note_health(result)
        with together():
            for waiting, outcome in zip(batch, result.outcomes, strict=True):
                if waiting.told.done():
                    continue
                if outcome.error is None:
                    waiting.told.set_result(outcome.value)
                elif not isinstance(outcome.error, StoreUnavailable):
                    waiting.told.set_exception(outcome.error)
                elif not outcome.is_unsure:
                    waiting.fail(outcome.error)
        self._tell_unsure(result)
        if self.damage is not None:
            self._leave_undecided()
        if self._changed is not None and result.error is None:
            self._changed.set_result(None)
            self._changed = None

    def _tell_unsure(self, result: _Result) -> None:
        """Answer those whose COMMIT reported an error: it is known now what it left, or never."""
        for waiting in result.undecided:
            if not waiting.told.done():
                waiting.told.set_exception(Undecided())
        for waiting in result.undone:
            if not waiting.told.done():
                waiting.fail(StoreUnavailable("The commit failed, and what it left is undone"))

    def _leave_undecided(self) -> None:
        """Say of what cannot be undone any more that nobody knows: not that it is not there."""
        for waiting in self._unsure:
            if not waiting.told.done():
                waiting.told.set_exception(Undecided())
        self._unsure.clear()

    def _note_health(self, result: _Result) -> None:
        """
        Say once that the store takes no writes, and once that it does again.

        A transaction that had nothing to write commits on a full disk, too, and proves nothing.
        """
        error = result.error
        if isinstance(error, StoreDamaged) and not (self._fault and self._is_damage_told):
            self._is_damage_told = True
            log.critical("store_damaged", error=error.detail, hint=error.command)
        elif error is not None and self._fault is None:
            log.error("batch_failed", error=str(error), hint=error.hint)
        elif error is None and self._fault is not None and result.has_written:
            log.info("store_recovered")
        if error is not None or result.has_written:
            self._fault = error

    # What follows runs on the writer's thread.

    def _open(self) -> None:
        self.worker.waits_for("the store to be opened")
        try:
            self._handle.get()
        except StartRefused:
            raise
        except Exception as error:
            raise self._failure(error) from error

    def _empty_log(self) -> bool:
        try:
            return database.empty_log(self._handle.get())
        except Exception as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> StoreUnavailable:
        """Draw the consequences of *error*, and name it as a waiter hears of it."""
        self._handle.note(error)
        return self._named(error)

    def _named(self, error: Exception) -> StoreUnavailable:
        return self._handle.damage or unavailable(error, self._handle.path)

    def _commit(self, batch: list[_Waiting]) -> _Result:
        try:
            return self._try(batch)
        finally:
            self.worker.waits_for("jobs")

    def _try(self, batch: list[_Waiting]) -> _Result:
        try:
            return self._attempt(batch)
        except Exception as error:  # noqa: BLE001 - every waiter hears of it
            failure = self._failure(error)
            may_be_there = self._committing and not left_nothing(error)
            outcomes = [
                _Outcome(error=self._named(error), is_unsure=may_be_there and bool(waiting.undo))
                for waiting in batch
            ]
        unsure = [waiting for waiting in batch if waiting.undo and may_be_there]
        self._unsure += unsure
        for waiting in unsure:
            waiting.opened = self._handle.opened
        again = self._undo_at_once() if unsure else _Result([], [])
        return _Result(outcomes, again.undone, again.undecided, failure)

    def _undo_at_once(self) -> _Result:
        """Undo now what may work the second time; else those who wait for it wait on."""
        try:
            return self._attempt([])
        except Exception as error:  # noqa: BLE001 - the next batch tries again
            self._handle.note(error)
            return _Result([], [])

    def _attempt(self, batch: list[_Waiting]) -> _Result:
        self._committing = False
        self.worker.waits_for("the store to be opened")
        connection = self._handle.get()
        try:
            result = self._transact(connection, batch, _run_job)
        except Exception as error:
            if not is_of_one_job(error):
                raise
            result = self._transact(connection, batch, _run_alone)
        self._handle.check_place()
        return result

    def _transact(
        self,
        connection: sqlite3.Connection,
        batch: list[_Waiting],
        run: Callable[[Transaction, Job], _Outcome],
    ) -> _Result:
        self._committing = False
        changes = connection.total_changes
        self.worker.waits_for("the store's lock")
        self._checkpoints.fit(connection, len(batch))
        connection.execute("BEGIN IMMEDIATE")
        self.worker.is_back_by(time.monotonic() + JOBS_S_MAX, "the jobs of a batch")
        try:
            with closing(Transaction(connection, self._ledger)) as transaction:
                undecided = [
                    each for each in self._unsure if not self._take_back(each, transaction)
                ]
                if self._unsure:
                    _write_a_page(connection)
                outcomes = [run(transaction, waiting.job) for waiting in batch]
                transaction.write_counts()
                nonces.write(transaction)
                self._committing = True
                self.worker.waits_for("the store's disk")
                connection.execute("COMMIT")
                transaction.committed()
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        undone = [each for each in self._unsure if each not in undecided]
        self._unsure = []
        self.commits += 1
        has_written = bool(undone) or connection.total_changes != changes
        return _Result(outcomes, undone, undecided, has_written=has_written)

    def _take_back(self, unsure: _Waiting, transaction: Transaction) -> bool:
        """Undo one; False when nobody can say any more whether anything of it is there."""
        if unsure.undo is overwrite:
            return unsure.opened == self._handle.opened
        try:
            unsure.take_back(transaction)
        except Exception as error:
            if isinstance(error, sqlite3.Error):
                raise
            log.exception("undo_failed")  # a bug of ours must not keep all others waiting
            return False
        return True


def overwrite(_: Transaction) -> None:
    """
    Be the *undo* of a job that has none of its own.

    The connection whose COMMIT failed sees nothing of it, and its next transaction takes the place
    of what stands in the write-ahead log. Another connection may find it there: then its waiter
    hears `Undecided`.
    """


def _write_a_page(connection: sqlite3.Connection) -> None:
    """
    Have this transaction write, though nothing may have been found to undo.

    A COMMIT whose sync failed leaves a whole transaction in the write-ahead log. This connection
    has forgotten it, and the next process would take it for committed, unless another is written
    in its place.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute(f"PRAGMA user_version = {version}")


def _refuse_late(waiting: _Waiting, before_s: float) -> bool:
    """Answer one that lost its patience; False for one that waits on, or needs no answer."""
    if not waiting.impatient or waiting.since_s >= before_s:
        return False
    if waiting.told.done() or waiting.is_handed_over:
        return False
    hint = "Is the store locked (fuser -v), or its disk busy (iostat -x 1)?"
    waiting.fail(StoreUnavailable("The commit took too long", hint=hint))
    return True


def _do_nothing(_: Transaction) -> None:
    """Be a job for its outcome alone."""


def look_at_error(done: asyncio.Future[Any]) -> None:
    """Ask for an error that was told already: asyncio logs what nobody asked for."""
    if not done.cancelled():
        done.exception()


def _run_job(transaction: Transaction, job: Job) -> _Outcome:
    try:
        return _Outcome(job(transaction))
    except Refusal as refusal:
        return _Outcome(error=refusal)


def _run_alone(transaction: Transaction, job: Job) -> _Outcome:
    """Run a job in a savepoint of its own: one of its batch is bad, and only that one may fail."""
    kept = transaction.snapshot()
    transaction.execute("SAVEPOINT job")
    try:
        outcome = _run_job(transaction, job)
    except Exception as error:
        if not is_of_one_job(error):
            raise
        outcome = _Outcome(error=error)
    if outcome.error is not None:
        transaction.execute("ROLLBACK TO job")
        transaction.put_back(kept)
    transaction.execute("RELEASE job")
    return outcome
