"""What the writer runs: no statement of a message's whole life looks at every row of a table."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plivostatusd.domain.asking import Patience
from plivostatusd.domain.statuses import Fact
from plivostatusd.store import (
    asks,
    entries,
    findings,
    inferring,
    nonce_runs,
    nonces,
    pruning,
    pulse,
    settling,
    submissions,
    watching,
)
from plivostatusd.store.findings import Answer, Moment
from tests.unit.store_place import START_US, Place, opened, submission, uuid

LATER_US = START_US + 10
GROWING = (
    "messages",
    "events",
    "aliases",
    "nonces",
    "nonce_pages",
    "outbox",
    "asks",
    "idempotency",
    "sends_by_day",
)

# `expire` walks the entries from the oldest recorded one on, to its LIMIT. A start that finds
# another clock moves every instant of both tables, once. Of `nonces` there are a thousand at most.
ALLOWED = {"SCAN outbox", "SCAN asks", "SCAN nonces"}
PATIENCE = Patience(after_us=1, silence_final_us=1_000_000)
MOMENT = Moment(now_us=LATER_US, careful_us=LATER_US, steady_us=LATER_US)


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
    while await do(nonces.file_some):
        pass
    await place.record(message_uuid=uuid(4), status="sent")
    while await do(nonces.delete_dead, 2**60, set()):
        pass


async def reconcile(place: Place) -> None:
    """Do to messages all that asking Plivo can do to them."""

    async def do(job: Any, *arguments: Any) -> Any:
        return await place.writer.submit(lambda tx: job(tx, *arguments))

    def said(number: int, status: str) -> Answer:
        return Answer(uuid(number), Fact(status, "api", "api"), b"{}")

    await do(pulse.begin, LATER_US, LATER_US)
    await do(pulse.beat, LATER_US, LATER_US)
    await do(pulse.close_gap, await do(pulse.open_gap, 1, 2))
    await do(pulse.end, LATER_US, LATER_US)
    for number in range(11, 16):
        await place.record_doubtful(message_uuid=uuid(number), status="delivered")
        await place.record(message_uuid=uuid(number + 10), status="sent")
    await place.record(message_uuid=uuid(11), status="failed")
    lost = []
    for _ in range(4):
        sent = submission()
        await place.accept(sent)
        entry = await do(entries.claim, LATER_US, LATER_US)
        await do(entries.settle_unknown, entry.row, "lost", LATER_US, LATER_US)
        lost.append(entry)
    await do(watching.watch, await do(watching.newest_row), PATIENCE, LATER_US, LATER_US)
    await do(asks.hurry, 0, 0, LATER_US)
    due = await do(asks.due, LATER_US, 9)
    await do(asks.move, [each.row for each in due], LATER_US)
    for status in ("sent", "sent", "delivered"):
        await do(findings.learn, said(21, status), MOMENT, PATIENCE)
    await do(findings.learn, Answer(uuid(22), None, None), MOMENT, PATIENCE)
    silent = replace(MOMENT, careful_us=2**60)
    await do(findings.note_unanswered, due[-1].row, silent, PATIENCE)
    await do(inferring.unsettled_calls, 0, LATER_US)
    await do(inferring.unknown_due, LATER_US, 9)
    await do(inferring.call_of, lost[0].row)
    for number, entry in enumerate(lost[:3], start=31):
        await do(inferring.infer, entry.row, said(number, "sent"), MOMENT)
    await place.record(message_uuid=uuid(34), status="sent", ref=lost[0].ref)
    await place.record(message_uuid=uuid(32), status="sent", ref=lost[0].ref)
    await place.record(message_uuid=uuid(32), status="sent", ref=lost[2].ref)
    await do(inferring.look_again, lost[3].row, LATER_US)
    await do(inferring.hurry, LATER_US)
    await do(inferring.report_overdue, LATER_US + 1, 9)
    await do(entries.refuse_unknown, lost[3].id, LATER_US)
    await do(entries.reset_clock, LATER_US, 2_000_000)
    await do(asks.reset_clock, LATER_US, 2_000_000, 1)


async def settle(place: Place) -> None:
    """Take every word that an operator may give."""

    async def do(job: Any, *arguments: Any) -> Any:
        return await place.writer.submit(lambda tx: job(tx, *arguments))

    for number in range(3):
        await place.accept(submission())
        entry = await do(entries.claim, LATER_US, LATER_US)
        await do(entries.settle_unknown, entry.row, "lost", LATER_US, LATER_US)
        terms = replace(submission(), intents=())
        job, *more = [
            (settling.settle_sent, uuid(41), LATER_US, "root"),
            (settling.settle_not_sent, LATER_US, "root"),
            (settling.send_again, "again", "ab" * 16, terms),
        ][number]
        await do(job, entry.id, *more)


async def test_no_statement_scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite searches by a key for all that the writer asks."""
    monkeypatch.setattr(nonce_runs, "FILED_AT_ONCE", 1)
    monkeypatch.setattr(nonces, "RUNS_PER_LEVEL", 2)
    async with opened(tmp_path) as place:
        asked: dict[str, None] = {}
        place.connection.set_trace_callback(asked.setdefault)
        await live(place)
        await reconcile(place)
        await settle(place)
        place.connection.set_trace_callback(None)
    words = ("SELECT", "INSERT", "UPDATE", "DELETE")
    statements = [sql for sql in asked if sql.lstrip().startswith(words)]
    assert 100 < len(statements)
    with closing(sqlite3.connect(tmp_path / "status.db")) as connection:
        steps = {
            step: sql
            for sql in statements
            for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {sql}")
        }
    scans = {step for step in steps if step.startswith(tuple(f"SCAN {name}" for name in GROWING))}
    assert ALLOWED == scans
    assert {} == {step: sql for step, sql in steps.items() if "TEMP B-TREE" in step}
