"""What the writer runs: no statement of a message's whole life looks at every row of a table."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from plivostatusd.store import entries, pruning, submissions
from tests.unit.store_place import START_US, Place, opened, submission, uuid

LATER_US = START_US + 10
GROWING = ("messages", "events", "aliases", "nonces", "outbox", "idempotency", "sends_by_day")

# `expire` walks the entries from the oldest recorded one on, to its LIMIT.
ALLOWED = {"SCAN outbox"}


async def live(place: Place) -> None:
    """Do to messages all that can be done to them."""

    async def do(job: Any, *arguments: Any, **options: Any) -> Any:
        return await place.writer.submit(lambda tx: job(tx, *arguments, **options))

    await place.record(message_uuid=uuid(1), status="sent")
    sends = [submission(key=f"k{number}", sender=None) for number in range(6)]
    for sent in sends:
        await place.accept(sent)
    claims = [await do(entries.claim, LATER_US, LATER_US) for _ in range(5)]
    rows = [entry.row for entry in claims]
    await do(entries.settle_accepted, rows[0], uuid(1), LATER_US)
    await do(entries.settle_refused, rows[1], "no", LATER_US, plivo_status=400, plivo_error="bad")
    await do(entries.settle_unknown, rows[2], "lost", LATER_US, LATER_US)
    await do(entries.postpone, rows[3], LATER_US)
    await do(entries.give_back, rows[4])
    await do(entries.cancel, sends[4].intents[0].id, LATER_US, "root")
    await place.record(message_uuid=uuid(2), status="sent", ref=sends[0].intents[0].ref)
    await place.record(message_uuid=uuid(3), status="sent", ref=sends[2].intents[0].ref)
    await place.record(message_uuid=None, status="sent")
    await do(submissions.withdraw, sends[5])
    await do(entries.claim, LATER_US, LATER_US)
    await do(entries.recover, LATER_US, LATER_US)
    await do(entries.expire, LATER_US, "too old", LATER_US)
    await do(entries.hold, "on a whim")
    await do(entries.held)
    for step in (pruning.blank_texts, pruning.delete_messages, pruning.delete_unnamed_events):
        await do(step, LATER_US)
    await do(pruning.delete_keys, LATER_US)
    await do(partial(pruning.delete_nonces, after=("", b""), before_us=LATER_US, keys=set()))


async def test_no_statement_scans(tmp_path: Path) -> None:
    """SQLite searches by a key for all that the writer asks."""
    async with opened(tmp_path) as place:
        asked: dict[str, None] = {}
        place.connection.set_trace_callback(asked.setdefault)
        await live(place)
        place.connection.set_trace_callback(None)
    words = ("SELECT", "INSERT", "UPDATE", "DELETE")
    statements = [sql for sql in asked if sql.lstrip().startswith(words)]
    assert 40 < len(statements)
    with closing(sqlite3.connect(tmp_path / "status.db")) as connection:
        steps = {
            step: sql
            for sql in statements
            for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {sql}")
        }
    scans = {step for step in steps if step.startswith(tuple(f"SCAN {name}" for name in GROWING))}
    assert ALLOWED == scans
    assert {} == {step: sql for step, sql in steps.items() if "TEMP B-TREE" in step}
