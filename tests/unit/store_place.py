"""
A store on disk for tests: a real file, the real writer and reader, and a clock of the test's own.

Whoever leaves `opened` has the store audited: tallies equal a plain recount, every message's
columns equal the fold of its events, and SQLite finds nothing wrong with the file.
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

from plivostatusd.domain import callback, identity
from plivostatusd.domain.message import Draft
from plivostatusd.domain.statuses import Fact, fold
from plivostatusd.store import database, figures, receipts
from plivostatusd.store.handle import Handle
from plivostatusd.store.reader import Reader
from plivostatusd.store.receipts import Arrival, Recorded
from plivostatusd.store.submissions import Accepted, Intent, Submission, accept
from plivostatusd.store.transaction import Transaction
from plivostatusd.store.writer import Writer

START_US = 1_790_000_000_000_000
SECOND_US = 1_000_000
DERIVED = (
    "initial_status, current_status, status_timestamp, error_code, reason, conflict, final,"
    " final_by, units, amount, mcc, mnc, delivery_ms"
)
FACTS = "status, source, trust, sequence, at, error_code, reason, units, amount, mcc, mnc"
_SERIAL = count(1)


@dataclass
class Clock:
    """The time, in microseconds; it stands still until it is told to pass."""

    us: int = START_US

    def __call__(self) -> int:
        """Tell the time."""
        return self.us

    def pass_(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self.us += int(seconds * SECOND_US)


@dataclass
class Place:
    """One store, open."""

    path: Path
    writer: Writer
    reader: Reader
    clock: Clock = field(default_factory=Clock)
    connection: Any = None

    def rows(self, sql: str, *arguments: object) -> list[Any]:
        """Ask the file itself, past the reader; of one column only the values come."""
        return rows_of(self.path, sql, *arguments)

    async def record(self, **fields: Any) -> Recorded:
        """Record a callback made by `arrival`."""
        return await self.take_in(arrival(received_us=self.clock(), **fields))

    async def record_doubtful(self, **fields: Any) -> Recorded:
        """Record a callback whose outcome is worth a question at Plivo's API."""
        given = arrival(received_us=self.clock(), trust="url-only", **fields)
        return await self.take_in(replace(given, doubtful=True))

    async def take_in(self, given: Arrival) -> Recorded:
        """Record a callback."""
        recorded: Recorded = await self.writer.submit(lambda tx: receipts.record(tx, given))
        return recorded

    async def accept(self, given: Submission) -> Accepted:
        """Record a send."""
        accepted: Accepted = await self.writer.submit(lambda tx: accept(tx, given))
        return accepted


def rows_of(path: Path, sql: str, *arguments: object) -> list[Any]:
    """Ask a store's file by a connection of its own; of one column only the values come."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(sql, arguments).fetchall()
    return [row[0] for row in rows] if rows and len(rows[0]) == 1 else rows


@asynccontextmanager
async def opened(
    folder: Path,
    *,
    commit_timeout_s: float = 20.0,
    connect: Callable[[Path], Any] = database.connect_writer,
) -> AsyncIterator[Place]:
    """Open the store in *folder*, made if need be; audit it when the test is done with it."""
    path = folder / "status.db"

    def remembered(path: Path) -> Any:
        place.connection = connect(path)
        return place.connection

    writer = Writer(Handle(path, remembered), commit_timeout_s=commit_timeout_s)
    reader = Reader(path, condemn=writer.condemn)
    place = Place(path, writer, reader)
    await writer.open()
    try:
        yield place
    finally:
        await reader.close()
        if not writer.closed:
            await writer.close()
    audit(path)


def audit(path: Path) -> None:
    """Compare everything derived in the store with what it is derived from."""
    with closing(sqlite3.connect(path)) as connection:
        audit_connection(connection)
        assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()


def audit_connection(connection: sqlite3.Connection) -> None:
    """Audit as *connection* sees the store, in whatever transaction it is."""
    execute = connection.execute
    counted = Counter(status for (status,) in execute("SELECT current_status FROM messages"))
    counted.update(f"outbox.{state}" for (state,) in execute("SELECT state FROM outbox"))
    tallies = {name: n for name, n in execute("SELECT name, n FROM tallies") if n}
    assert dict(counted) == tallies
    assert [] == figures.differing_days(connection)
    facts: defaultdict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for message, *fact in execute(f"SELECT message, {FACTS} FROM events WHERE aside IS NULL"):  # noqa: S608 - ours
        facts[message].append(tuple(fact))
    for row, *columns in execute(f"SELECT row, {DERIVED} FROM messages"):  # noqa: S608 - ours
        assert folded(*facts[row]) == tuple(columns)
    assert [] == execute("PRAGMA foreign_key_check").fetchall()
    overlapping = "SELECT id FROM aliases WHERE id IN (SELECT id FROM messages)"
    assert [] == execute(overlapping).fetchall()
    bound_twice = "SELECT id FROM aliases WHERE id IN (SELECT message_uuid FROM messages)"
    assert [] == execute(bound_twice).fetchall()


@lru_cache(maxsize=50_000)  # the soak audits every message after each of a hundred rounds
def folded(*facts: tuple[Any, ...]) -> tuple[Any, ...]:
    """Fold a message's events, each in the order of `FACTS`, anew into the order of `DERIVED`."""
    names = FACTS.replace("at,", "at_us,").split(", ")
    whole = fold([Fact(**dict(zip(names, fact, strict=True))) for fact in facts])
    return (
        whole.initial_status,
        whole.status,
        whole.status_timestamp_us,
        whole.error_code,
        whole.reason,
        int(whole.conflict),
        int(whole.final),
        whole.final_by,
        whole.units,
        whole.amount,
        whole.mcc,
        whole.mnc,
        whole.delivery_ms,
    )


def uuid(number: int) -> str:
    """Spell one of Plivo's ids."""
    return f"3e82ae9d-2c78-4d85-b1a4-{number:012d}"


def arrival(  # noqa: PLR0913 - one a field
    *,
    message_uuid: str | None = None,
    status: str | None = "queued",
    ref: str | None = None,
    trust: str = "full",
    nonces: Sequence[str] = (),
    digest: bytes | None = None,
    received_us: int = START_US,
    key: str = "key-1",
    **fields: str,
) -> Arrival:
    """Make a verified callback; one nonce and one digest of its own unless told otherwise."""
    serial = next(_SERIAL)
    named = {"MessageUUID": message_uuid, "Status": status, "From": "14155551212"}
    named |= {"To": "14155552323", **fields}
    pairs = [(name.encode(), value.encode()) for name, value in named.items() if value is not None]
    return Arrival(
        report=callback.parse(pairs),
        ref=ref,
        trust=trust,
        key_name="auth_token 1",
        key_fingerprint=key,
        nonces=tuple(nonces) or (f"nonce-{serial:012d}",),
        digest=digest or serial.to_bytes(8, "big") * 2,
        raw=f"POST /plivo/{f'{ref}/' if ref else ''}status\n\n{pairs}".encode(),
        received_us=received_us,
        message_id=identity.message_id(received_us, os.urandom(10)),
    )


def submission(  # noqa: PLR0913 - one a field
    *,
    to: Sequence[str] = ("+14155552323",),
    text: str = "hello",
    sender: str | None = "+14155551212",
    tag: str | None = None,
    now_us: int = START_US,
    sent_by: str = "cron",
    key: str | None = None,
    fingerprint: bytes = b"same body",
    queue_max: int = 1000,
    per_day: int = 0,
    options: dict[str, Any] | None = None,
) -> Submission:
    """Make a send, one intent a recipient."""
    intents = [
        Intent(
            id=identity.message_id(now_us, os.urandom(10)),
            ref=identity.ref(os.urandom(16)),
            draft=Draft(to=number, sender=sender, text=text, tag=tag, options=options or {}),
        )
        for number in to
    ]
    return Submission(
        intents=intents,
        is_list=len(intents) > 1,
        sent_by=sent_by,
        key=key,
        fingerprint=fingerprint,
        now_us=now_us,
        steady_us=now_us,
        queue_max=queue_max,
        per_day=per_day,
    )


def insert_fact(transaction: Transaction, name: str, value: object = "x") -> str:
    """Run the smallest job that writes; a null value breaks a constraint."""
    transaction.execute("INSERT INTO facts VALUES (?, ?)", (name, value))
    return name
