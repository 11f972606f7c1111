"""
What a store goes through in its life, so told that any call beneath it can fail or be the last.

Callbacks come on the bare path and on refs' paths, early, late and twice; sends are accepted, a
list of them as a roll, claimed and settled in each way; the disk is full for a while, the spool
fills, and is drained; the write-ahead log is checkpointed on the way. Whoever tells it behaves as
the daemon and those around it do: a send that was answered with an error is sent again by its
caller, an outcome is written again until it is written.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, Final, Literal

from plivostatusd.domain.errors import Refusal, StoreUnavailable
from plivostatusd.domain.signature import Signed
from plivostatusd.simulator import signed_request
from plivostatusd.store import entries, rolls, submissions
from plivostatusd.store.entries import Entry
from plivostatusd.store.submissions import Accepted, Submission
from plivostatusd.store.transaction import Transaction
from tests.fault.store_house import PUBLIC_URL, TOKEN, House
from tests.fault.store_promises import Promise
from tests.fault.vfs_watch import Watch
from tests.unit.store_place import START_US, submission, uuid

FULL: Final = {"write": sqlite3.SQLITE_FULL}
TRIES: Final = 3
"""How often a caller sends, and how often an outcome is written, before the story goes on."""

TAKEN, REFUSED, UNHEARD, VOID = (f"+1415555000{number}" for number in range(1, 5))
"""Whom the sends go to, which is also what Plivo makes of them."""

LONG: Final = bool(os.environ.get("TEST_LONG"))
"""Tell more of it, break it with more codes, and cut it in more ways: for minutes, by hand."""

PATIENCE_S: Final = 0.05

Received = tuple[Signed, str | None]


@cache
def callback(
    number: int,
    status: str,
    ref: str | None = None,
    *,
    nonce: str | None = None,
    signatures: Literal["both", "v2"] = "both",
) -> Received:
    """Sign a callback as Plivo does; the ref of its path comes with it."""
    path = "/plivo/status" if ref is None else f"/plivo/{ref}/status"
    fields = {"MessageUUID": uuid(number), "Status": status, "To": "14155552323"}
    nonce = nonce or f"nonce-{number}-{status}"
    made = signed_request(
        "POST", PUBLIC_URL + path, fields, TOKEN, signatures=signatures, nonces=(nonce, nonce)
    )
    headers = {name.lower(): value for name, value in made.headers.items()}
    return Signed(made.method, path, None, headers, made.body), ref


@cache
def send(*to: str, nth: int) -> Submission:
    """Make a send as its caller makes it the *nth* time: with the same key, and ids of its own."""
    return submission(to=to, key=f"key {to[0]}", now_us=START_US + nth)


@dataclass
class Story:
    """
    One run of it.

    `promises` is what somebody relies on, `received` what Plivo has sent, and `wrong` what was
    wrong at once. *heals*: what fails will work again, so that the spool can be waited for. *kill*
    is called where a kill would be worst: when a fault has made the writer refuse a send, else at
    the end. *tell* hears of each promise when it is given.
    """

    watch: Watch
    heals: bool = True
    is_long: bool = LONG
    tell: Callable[[Promise], None] = lambda _: None
    kill: Callable[[], None] = lambda: None
    promises: list[Promise] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    _is_killed: bool = False

    async def run(self, house: House) -> None:
        """Tell it from the beginning to the end."""
        receive, accept = partial(self._receive, house), partial(self._accept, house)
        await asyncio.gather(
            receive(callback(1, "queued"), callback(2, "queued")), accept(TAKEN, UNHEARD)
        )
        if self.is_long:
            await asyncio.gather(receive(callback(3, "sent")), accept(REFUSED))
            for number in (4, 5):
                await receive(callback(number, "sent"), callback(3, "delivered"))
        for _ in range(4 if self.is_long else 2):
            await self._call(house)
        with self.watch.failing(FULL):
            await receive(callback(6, "queued"), callback(1, "queued"))
            await accept(VOID, tries=1)
        if self.heals:
            await house.drained()
        replay = callback(2, "failed", nonce="nonce-2-queued", signatures="v2")
        await receive(callback(1, "queued"), callback(6, "delivered"), replay)
        if self.is_long:
            for number in (1, 2, 7, 8):
                await receive(callback(number, "delivered"))
        self._kill()

    def _kill(self) -> None:
        if not self._is_killed:
            self._is_killed = True
            self.kill()

    def _promise(self, said: str, about: bytes | str) -> None:
        promise = Promise(said, about)
        self.promises.append(promise)
        self.tell(promise)

    async def _receive(self, house: House, *received: Received) -> None:
        """Take callbacks that come at one moment; each hears its own answer."""
        self.received += received
        await asyncio.gather(*(self._answer(house, *each) for each in received))

    async def _answer(self, house: House, request: Signed, ref: str | None) -> None:
        try:
            await house.ingest.receive(request, ref)
        except Refusal:
            return  # Plivo calls again
        self._promise("recorded", request.digest)

    async def _accept(self, house: House, *to: str, tries: int = TRIES) -> None:
        """Take a send; its caller sends it again when told that it is not recorded."""
        for nth in range(tries):
            given = send(*to, nth=nth)
            roll = submissions.roll_of(given, given.intents) if len(to) > 1 else None
            future = house.writer.submit(
                partial(submissions.accept, submission=given, roll=roll),
                undo=partial(submissions.withdraw, submission=given),
            )
            future.add_done_callback(partial(self._note_send, given))
            if not await self._is_refused(future):
                for _ in to if roll else ():
                    await self._write(house, partial(rolls.write_out, name=given.intents[0].id))
                return

    def _note_send(self, given: Submission, future: asyncio.Future[Accepted]) -> None:
        """Note what a caller was told, whenever that is."""
        error = future.exception()
        if error is None:
            for message_id in future.result().ids:
                self._promise("accepted", message_id)
        elif not isinstance(error, Refusal):
            self.wrong.append(f"a send met {error!r}")
        elif isinstance(error, StoreUnavailable):
            for intent in given.intents:
                self._promise("not accepted", intent.id)
            if self.watch.broken:
                self._kill()

    async def _is_refused(self, future: asyncio.Future[Any]) -> bool:
        """Wait for an answer, and not for long once it may never come; say whether it is a no."""
        future.add_done_callback(lambda done: done.exception())  # it may come when nobody waits
        while not future.done():
            await asyncio.wait([future], timeout=PATIENCE_S)
            if self.watch.broken and not self.heals:
                break
        return future.done() and future.exception() is not None

    async def _call(self, house: House) -> None:
        """Claim what is due, play Plivo to it, and settle it."""
        entry = await self._claim(house)
        if not isinstance(entry, Entry):
            return
        if Promise("called", entry.id) in self.promises:
            self.wrong.append(f"called twice: {entry.id}")
        self._promise("called", entry.id)
        number = 10 + int(entry.to[-1])
        row, ref = entry.row, entry.ref
        settle: Callable[..., object] = partial(entries.settle_refused, reason="no")
        if entry.to == TAKEN:
            await self._receive(house, callback(number, "queued", ref))
            settle = partial(entries.settle_accepted, message_uuid=uuid(number))
        elif entry.to == UNHEARD:
            settle = partial(entries.settle_unknown, reason="no answer", look_us=START_US)
        is_written = await self._write(house, lambda tx: settle(tx, row, now_us=START_US))
        if is_written and entry.to != UNHEARD:
            self._promise("settled", entry.id)
        if entry.to != REFUSED:
            queued, delivered = (callback(number, each, ref) for each in ("queued", "delivered"))
            await self._receive(house, queued, delivered)

    async def _claim(self, house: House) -> Entry | int | None:
        found: list[Entry | int | None] = []

        def claim(transaction: Transaction) -> Entry | int | None:
            found[:] = [entries.claim(transaction, START_US + 60, START_US + 60)]
            return found[0]

        def undo(transaction: Transaction) -> bool:
            return isinstance(found[0], Entry) and entries.give_back(transaction, found[0].row)

        future: asyncio.Future[Entry | int | None] = house.writer.submit(claim, undo=undo)
        is_refused = await self._is_refused(future)
        return future.result() if future.done() and not is_refused else None

    async def _write(self, house: House, job: Callable[[Transaction], object]) -> bool:
        """Write an outcome down, again until it is written, or the process ends first."""
        for _ in range(TRIES):
            try:
                await house.writer.submit(job)
            except StoreUnavailable:
                continue
            return True
        return False
