"""What is counted as rows change, and what is counted from the messages beside it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from plivostatusd.store import database, figures, pruning, rebuilding
from plivostatusd.store.figures import DAY_US, PARTS, Wanted
from plivostatusd.store.transaction import Transaction
from tests.unit.store_place import Place, arrival, opened, rows_of, submission, uuid

DAY = 20_000
BEGIN_US = DAY * DAY_US
HOUR_US = DAY_US // 24
NUMBERS = ("+14155550001", "+4915112345678", "+353861234567")
# What a part is, from a message's own columns.
SPELT = {
    "day": f"created_at / {DAY_US}",
    "status": "current_status",
    "country": "country",
    "tag": "tag",
    "carrier": "iif(mcc IS NULL AND mnc IS NULL, NULL, ifnull(mcc, '') || '-' || ifnull(mnc, ''))",
    "error": "error_code",
}


async def fill(place: Place) -> None:
    """Record sends of three days to three countries, with all that may become of them."""
    for number in range(48):
        at_us = BEGIN_US + number * HOUR_US + 1
        to = NUMBERS[number % 3]
        sent = submission(to=[to], tag="night" if number % 4 else None, now_us=at_us)
        await place.accept(sent)
        ref = sent.intents[0].ref
        if number % 5 == 0:
            continue
        about: dict[str, Any] = {"message_uuid": uuid(number), "ref": ref, "received_us": at_us}
        began = f"2026-11-23 09:00:{number:02}"
        await place.take_in(arrival(status="sent", SentTime=began, **about))
        if number % 5 == 1:
            await place.take_in(arrival(status="failed", ErrorCode="30", **about))
        elif number % 5 < 4:
            ended = f"2026-11-23 09:01:{number:02}"
            network: dict[str, Any] = {"MCC": "310", "MNC": "150"} if number % 2 else {}
            delivered = arrival(status="delivered", DeliveryReportTime=ended, **about, **network)
            await place.take_in(delivered)


def counted(place: Place, wanted: Wanted) -> Counter[tuple[Any, ...]]:
    """Count by the module under test."""
    connection = rebuilding.connect(place.path)
    try:
        found = figures.count(connection, wanted)
    finally:
        connection.close()
    counts: Counter[tuple[Any, ...]] = Counter()
    for each in found:
        counts[each.part, each.status, each.took] += each.n
    return counts


def recounted(place: Place, wanted: Wanted) -> Counter[tuple[Any, ...]]:
    """Count by looking at every message."""
    part = SPELT[wanted.part] if wanted.part else "NULL"
    conditions = ["created_at >= ?", "created_at < ?", *(f"{name} = ?" for name in wanted.columns)]
    rows = place.rows(
        f"SELECT {part}, current_status, ifnull(took, -1), created_at FROM messages"  # noqa: S608 - ours
        f" WHERE {' AND '.join(conditions)}",
        wanted.since_us or 0,
        wanted.until_us or 2**62,
        *wanted.columns.values(),
    )
    return Counter(row[:3] for row in rows)


async def test_every_question(tmp_path: Path) -> None:
    """Whatever is asked, whole days and parts of days come to what a look at each row gives."""
    periods = (None, BEGIN_US, BEGIN_US + 1, BEGIN_US + 30 * HOUR_US, BEGIN_US + 48 * HOUR_US)
    filters: tuple[dict[str, Any], ...] = (
        {},
        {"tag": "night"},
        {"error_code": "30"},
        {"mcc": "310", "mnc": "150"},
        {"current_status": "delivered"},
        {"recipient_number": NUMBERS[0]},
        {"sender_number": "+14155551212", "tag": "night"},
        {"sent_by": "cron"},
    )
    async with opened(tmp_path) as place:
        await fill(place)
        for part, columns, since, until in product((None, *PARTS), filters, periods, periods):
            wanted = Wanted(columns=columns, since_us=since, until_us=until, part=part)
            assert recounted(place, wanted) == counted(place, wanted), wanted
        took = place.rows("SELECT DISTINCT delivery_ms FROM messages WHERE took IS NOT NULL")
        assert [60_000] == took
        assert {"1", "49", "353"} == set(place.rows("SELECT country FROM messages"))


def _execute(sql: str, transaction: Transaction) -> None:
    transaction.execute(sql)


def _recount_day(day: int, transaction: Transaction) -> None:
    figures.recount_day(transaction, day)


async def test_what_is_deleted_is_not_counted(tmp_path: Path) -> None:
    """Messages that retention deletes take their figures with them, and leave no row of zero."""
    async with opened(tmp_path) as place:
        await fill(place)
        await place.writer.submit(lambda tx: tx.execute("DELETE FROM outbox"))
        await place.writer.submit(lambda tx: tx.execute("DELETE FROM tallies WHERE name LIKE 'o%'"))
        while await place.writer.submit(lambda tx: pruning.delete_messages(tx, 2**62)):
            pass
        assert [] == place.rows("SELECT * FROM figures")


async def test_a_day_that_is_wrong_is_found(tmp_path: Path) -> None:
    """A figure that is off by one, made up or gone names its day; a recount mends all."""
    async with opened(tmp_path) as place:
        await fill(place)
        connection = rebuilding.connect(place.path)
        try:
            assert [] == figures.differing_days(connection)
            for damage in (
                f"UPDATE figures SET n = n + 1 WHERE day = {DAY}",  # noqa: S608 - ours
                f"DELETE FROM figures WHERE day = {DAY}",  # noqa: S608 - ours
                f"INSERT INTO figures VALUES ({DAY}, 'made up', '', '', '', '', '', -1, 1)",  # noqa: S608 - ours
            ):
                await place.writer.submit(partial(_execute, damage))
                assert [DAY] == figures.differing_days(connection)
                await place.writer.submit(partial(_recount_day, DAY))
                assert [] == figures.differing_days(connection)
        finally:
            connection.close()


@pytest.mark.parametrize("part", [None, *PARTS])
@pytest.mark.parametrize("since", [BEGIN_US, BEGIN_US + HOUR_US])
async def test_no_question_looks_at_all(tmp_path: Path, part: str | None, since: int) -> None:
    """A day's figures, or a part of a day, are found by an index and not by going through all."""
    until = since + DAY_US
    wanted = Wanted(columns={"tag": "x"}, since_us=since, until_us=until, part=part)
    async with opened(tmp_path) as place:
        for sql, arguments in figures._questions(wanted):
            plan = [row[3] for row in place.rows(f"EXPLAIN QUERY PLAN {sql}", *arguments)]
            assert any(step.startswith("SEARCH") for step in plan)
            assert not any(step.startswith("SCAN") for step in plan)


async def test_an_older_store_is_counted(tmp_path: Path) -> None:
    """A store of an older schema has its figures once it is migrated, countries and times too."""
    async with opened(tmp_path) as place:
        await fill(place)
    wanted = rows_of(place.path, "SELECT * FROM figures ORDER BY 1, 2, 3, 4, 5, 6, 7, 8")
    older = tmp_path / "older"
    older.mkdir()
    with closing(sqlite3.connect(older / "status.db", isolation_level=None)) as connection:
        for step in database.migrations()[:2]:
            connection.executescript(step)
        connection.execute("ATTACH ? AS new", (str(place.path),))
        for table in ("messages", "events", "tallies", "outbox"):
            columns = [row[1] for row in connection.execute(f"PRAGMA main.table_info({table})")]
            names = ", ".join(columns)
            connection.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM new.{table}")  # noqa: S608 - ours
        connection.execute("INSERT INTO facts VALUES ('generation', 'feedbeef')")
        connection.execute("DETACH new")
        connection.execute(f"PRAGMA application_id = {database.APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 2")
    (older / "status.db").chmod(0o600)
    async with opened(older) as migrated:
        found = migrated.rows("SELECT * FROM figures ORDER BY 1, 2, 3, 4, 5, 6, 7, 8")
        assert wanted == found
