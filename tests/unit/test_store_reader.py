"""Reading: no query scans, pages neither miss nor double a message, and what is there is found."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any, cast

import pytest

from plivostatusd.domain.errors import StoreDamaged, StoreUnavailable
from plivostatusd.store import reader as reading
from plivostatusd.store.reader import Filter, Reader
from tests.unit.store_place import SECOND_US, START_US, Place, arrival, opened, submission, uuid

ALICE, BOB, CAROL = "+14155550001", "+14155550002", "+14155550003"


def fail(damage: StoreDamaged) -> None:
    """Let nobody find damage here."""
    pytest.fail(str(damage))


class Watched(Reader):
    """A reader that remembers what it asked, and with which arguments."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, condemn=fail)
        self.asked: list[tuple[str, tuple[object, ...]]] = []

    async def _all(self, sql: str, arguments: tuple[object, ...] = ()) -> list[dict[str, Any]]:
        self.asked.append((sql, arguments))
        return await super()._all(sql, arguments)


def plans_of(path: Path, asked: list[tuple[str, tuple[object, ...]]]) -> list[str]:
    """Return every step of SQLite's plans for what was asked."""
    with closing(sqlite3.connect(path)) as connection:
        return [
            step
            for sql, arguments in asked
            for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {sql}", arguments)
        ]


# The newest ones of all: a walk that ends at its LIMIT, without a condition to search for.
WALKS = {
    "SCAN messages USING INDEX messages_by_time",
    "SCAN messages USING COVERING INDEX messages_by_time",
    "SCAN messages USING INDEX messages_open",
}


def scans(steps: list[str]) -> set[str]:
    """Return the steps that get slower as the store grows."""
    growing = ("SCAN m", "SCAN e", "SCAN outbox", "SCAN aliases", "SCAN nonces", "TEMP B-TREE")
    return {step for step in steps if any(word in step for word in growing)}


async def fill(place: Place) -> None:
    """Record messages of two senders to three people, some tagged, several at the same instant."""
    for number, to in enumerate((ALICE, BOB, CAROL) * 4):
        sent = submission(
            to=[to],
            sender="+14155551212" if number % 2 else "Acme",
            tag="night" if number % 4 else None,
            now_us=START_US + number // 5,
        )
        await place.accept(sent)
        if number % 3:
            ref = sent.intents[0].ref
            status = "delivered" if number % 2 else "sent"
            network = {"MCC": "310", "MNC": "150" if number % 4 else "260"}
            more = network if number % 5 else {"ErrorCode": "30"}
            await place.record(message_uuid=uuid(number), status=status, ref=ref, **more)


SHAPES = [
    Filter(
        status=status,
        to=to,
        sender=sender,
        tag=tag,
        since_us=since,
        until_us=until,
        final=final,
        **cast("Any", more),
    )
    for status, to, sender, tag, since, until, final, more in product(
        (None, "sent"),
        (None, ALICE),
        (None, "Acme"),
        (None, "night"),
        (None, START_US + 1),
        (None, START_US + 2),
        (None, True, False),
        (
            {},
            {"error_code": "30"},
            {"mcc": "310"},
            {"mcc": "310", "mnc": "150"},
            {"sent_by": "cron"},
        ),
    )
]


async def test_no_list_scans(tmp_path: Path) -> None:
    """Whatever is asked of the list, SQLite walks an index in the order of the answer."""
    async with opened(tmp_path) as place:
        await fill(place)
        watched = Watched(place.path)
        for shape in SHAPES:
            await watched.messages(shape)
            onward = dict.fromkeys(("before",), (START_US + 1, 7))
            await watched.messages(Filter(**{**_fields(shape), **onward}))
        steps = plans_of(place.path, watched.asked)
        await watched.close()
        assert len(SHAPES) * 2 < len(steps)
        assert WALKS == scans(steps)
        assert all("LIMIT" in sql for sql, _ in watched.asked)


async def test_nothing_else_scans(tmp_path: Path) -> None:
    """No other question that the reader knows looks at every message or every event."""
    async with opened(tmp_path) as place:
        await fill(place)
        watched = Watched(place.path)
        await watched.message("no such id")
        await watched.events_of(1)
        await watched.generation()
        await watched.event_bounds()
        await watched.events_after(3, 10)
        await watched.tallies()
        await watched.oldest_open_us()
        await watched.last_callback_us()
        await watched.first_event_since(START_US)
        await watched.messages_between((START_US, 0), START_US + 5, 10)
        await watched.events_of_all([1, 2])
        await watched.messages_of(["no such id", "nor this"])
        await watched.close()
        assert set() == scans(plans_of(place.path, watched.asked))


async def test_every_filter_finds_what_it_says(tmp_path: Path) -> None:
    """Every combination of conditions gives the messages that a plain look at each one gives."""
    async with opened(tmp_path) as place:
        await fill(place)
        everything = (await place.reader.messages(Filter())).records
        assert 12 == len(everything)
        for shape in SHAPES:
            wanted = [record["row"] for record in everything if _holds(shape, record)]
            found = (await place.reader.messages(shape)).records
            assert wanted == [record["row"] for record in found]


@pytest.mark.parametrize("limit", [1, 2, 5, 12, 100])
@pytest.mark.parametrize(
    "shape", [Filter(), Filter(tag="night", sender="Acme"), Filter(final=False)]
)
async def test_pages_join_without_a_seam(tmp_path: Path, limit: int, shape: Filter) -> None:
    """Messages of the same instant are neither missed nor doubled where a page ends among them."""
    async with opened(tmp_path) as place:
        await fill(place)
        wanted = [record["row"] for record in (await place.reader.messages(shape)).records]
        found: list[int] = []
        before = None
        while True:
            fields = {**_fields(shape), "limit": limit, "before": before}
            page = await place.reader.messages(Filter(**fields))
            assert len(page.records) <= limit
            found += [record["row"] for record in page.records]
            before = page.next
            if before is None:
                break
        assert wanted == found


async def test_a_page_looks_at_so_many_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rare message far back ends a page early, and the pages after it still reach it."""
    monkeypatch.setattr(reading, "EXAMINED_MAX", 3)
    async with opened(tmp_path) as place:
        await place.accept(submission(to=[ALICE], tag="rare", sender="Acme"))
        for _ in range(7):
            await place.accept(submission(to=[BOB], tag="rare"))
        pages: list[int] = []
        before = None
        while not pages or before:
            page = await place.reader.messages(Filter(tag="rare", sender="Acme", before=before))
            pages.append(len(page.records))
            before = page.next
        assert [0, 0, 1] == pages


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_a_page_looks_at_few_rows_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """What the first few rows do not hold is looked for in the others, for the same page."""
    monkeypatch.setattr(reading, "EXAMINED_FIRST", 3)
    async with opened(tmp_path) as place:
        for number in range(8):
            sender = "Acme" if number in {1, 2, 6} else "+14155551212"
            sent = submission(to=[BOB], tag="rare", sender=sender, now_us=START_US + number)
            await place.accept(sent)
        watched = Watched(place.path)
        page = await watched.messages(Filter(tag="rare", sender="Acme", limit=limit))
        assert [7, 3, 2][:limit] == [record["row"] for record in page.records]
        assert (
            [2]
            if limit == 1
            else [2, reading.EXAMINED_MAX - 4]
            == [arguments[-1] for sql, arguments in watched.asked if "OFFSET" in sql]
        )
        await watched.close()


async def test_a_message_by_any_name(tmp_path: Path) -> None:
    """A message is found by our id, by Plivo's, and by the id of a row that was joined to it."""
    async with opened(tmp_path) as place:
        early = await place.record(message_uuid=uuid(1), status="queued")
        sent = submission()
        await place.accept(sent)
        await place.record(message_uuid=uuid(1), status="sent", ref=sent.intents[0].ref)
        for name in (sent.intents[0].id, uuid(1), early.message_id or ""):
            found = await place.reader.message(name)
            assert found is not None
            assert sent.intents[0].id == found["id"]
        assert await place.reader.message(uuid(2)) is None


async def test_messages_by_their_ids(tmp_path: Path) -> None:
    """Several messages are found at once, by our ids alone; what is not there is left out."""
    async with opened(tmp_path) as place:
        sent = submission(to=(ALICE, BOB))
        await place.accept(sent)
        ids = [each.id for each in sent.intents]
        found = await place.reader.messages_of([*ids, "no such id"])
        assert {ids[0]: ALICE, ids[1]: BOB} == {
            name: record["recipient_number"] for name, record in found.items()
        }


async def test_a_long_answer_gives_way(tmp_path: Path) -> None:
    """A page is read a few rows at a time, in order, and gives way in between."""
    turns: list[int] = []

    async def give_way() -> None:
        turns.append(1)

    async with opened(tmp_path) as place:
        count = reading.ROWS_AT_ONCE * 2 + 1
        await place.accept(submission(to=[f"+1415555{number:04}" for number in range(count)]))
        reader = Reader(place.path, condemn=fail, give_way=give_way)
        page = await reader.messages(Filter(limit=1_000))
        rows = [record["row"] for record in page.records]
        assert (list(range(count, 0, -1)), 2) == (rows, len(turns))
        await reader.events_after(0, 1_000)
        assert 4 == len(turns)
        await reader.close()


async def test_what_comes_during_a_long_answer(tmp_path: Path) -> None:
    """Who asks while a page is half read sees what was committed meanwhile."""
    found: list[object] = []

    async def give_way() -> None:
        sent = submission()
        await place.accept(sent)
        found.append(await reader.message(sent.intents[0].id))

    async with opened(tmp_path) as place:
        count = reading.ROWS_AT_ONCE * 2
        await place.accept(submission(to=[f"+1415555{number:04}" for number in range(count)]))
        reader = Reader(place.path, condemn=fail, give_way=give_way)
        page = await reader.messages(Filter(limit=count))
        assert (count, 1) == (len(page.records), len(found))
        await reader.events_after(0, count)
        assert 2 == len(found)
        assert None not in found
        await reader.close()


async def test_events_in_commit_order(tmp_path: Path) -> None:
    """Events come in the order of their commits with their messages' names, from any cursor on."""
    async with opened(tmp_path) as place:
        assert (1, 0) == await place.reader.event_bounds()
        sent = submission(tag="night")
        await place.accept(sent)
        await place.record(message_uuid=uuid(1), status="sent", ref=sent.intents[0].ref)
        await place.record(message_uuid=None, status=None)
        await place.record(message_uuid=uuid(1), status="delivered")
        events = await place.reader.events_after(0, 100)
        mine = sent.intents[0].id
        assert [mine, mine, None, mine] == [event["message_id"] for event in events]
        assert ["pending", "sent", None, "delivered"] == [e["status_after"] for e in events]
        assert [uuid(1), uuid(1), None, uuid(1)] == [e["message_uuid"] for e in events]
        assert "night" == events[0]["tag"]
        assert events[1:3] == await place.reader.events_after(events[0]["cursor"], 2)
        assert (1, 4) == await place.reader.event_bounds()
        own = await place.reader.events_of(1)
        assert ["pending", "sent", "delivered"] == [event["status"] for event in own]


async def test_an_event_by_its_time(tmp_path: Path) -> None:
    """Where events of a time begin is found, whichever are gone, before, behind and between."""
    async with opened(tmp_path) as place:
        assert 1 == await place.reader.first_event_since(START_US)
        for number in range(20):
            at_us = START_US + number // 2 * 10
            await place.take_in(arrival(status=None, received_us=at_us))
        gone = "DELETE FROM events WHERE row IN (1, 2, 7, 8, 9, 20)"
        await place.writer.submit(lambda tx: tx.execute(gone))
        for since in range(-5, 105, 5):
            place_of = await place.reader.first_event_since(START_US + since) - 1
            following = await place.reader.events_after(place_of, 100)
            wanted = "SELECT row FROM events WHERE received_at >= ? ORDER BY row"
            assert place.rows(wanted, START_US + since) == [each["cursor"] for each in following]


async def test_bounds_outlive_the_events(tmp_path: Path) -> None:
    """When every event is gone the newest one ever written is still known."""
    async with opened(tmp_path) as place:
        await place.record(message_uuid=None)
        await place.record(message_uuid=None)
        await place.writer.submit(lambda tx: tx.execute("DELETE FROM events"))
        assert (3, 2) == await place.reader.event_bounds()


async def test_tallies(tmp_path: Path) -> None:
    """What is counted as rows change is what there is."""
    async with opened(tmp_path) as place:
        assert {} == await place.reader.tallies()
        await fill(place)
        tallies = await place.reader.tallies()
        assert 4 == tallies["outbox.pending"] == tallies["pending"]
        assert START_US == await place.reader.oldest_open_us()


async def test_nothing_is_open(tmp_path: Path) -> None:
    """Without a message that is open there is no oldest one."""
    async with opened(tmp_path) as place:
        await place.record(message_uuid=uuid(1), status="delivered")
        assert await place.reader.oldest_open_us() is None


async def test_the_last_callback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest callback is found among so many of the newest events, and not further back."""
    async with opened(tmp_path) as place:
        assert await place.reader.last_callback_us() is None
        place.clock.pass_(5)
        await place.record(message_uuid=uuid(1))
        for _ in range(3):
            await place.accept(submission())
        assert place.clock() == await place.reader.last_callback_us()
        monkeypatch.setattr(reading, "EXAMINED_MAX", 3)
        assert await place.reader.last_callback_us() is None


async def test_the_first_event_since(tmp_path: Path) -> None:
    """It is the first of all that were received then or later, though some were committed late."""
    async with opened(tmp_path) as place:
        assert 1 == await place.reader.first_event_since(START_US)
        offsets = [0, 10, 20, 30, 25, 26, 40, 5, 50, 60, 45, 70]  # seconds, in the order of commits
        for number, offset in enumerate(offsets):
            place.clock.us = START_US + offset * SECOND_US
            await place.record(message_uuid=uuid(number), status="sent")
        for since in range(-1, 72):
            rows = [row for row, offset in enumerate(offsets, start=1) if offset >= since]
            wanted = rows[0] if rows else len(offsets) + 1
            assert wanted == await place.reader.first_event_since(START_US + since * SECOND_US), (
                since
            )


async def test_the_first_event_since_among_gaps(tmp_path: Path) -> None:
    """Numbers that are not there any more are no end."""
    async with opened(tmp_path) as place:
        for number in range(20):
            place.clock.us = START_US + number
            await place.record(message_uuid=None)
        await place.writer.submit(lambda tx: tx.execute("DELETE FROM events WHERE row > 15"))
        assert 16 == await place.reader.first_event_since(START_US + 15)
        assert 11 == await place.reader.first_event_since(START_US + 10)


async def test_a_store_that_cannot_be_read(tmp_path: Path) -> None:
    """A reader whose query fails says that the store is not available."""
    async with opened(tmp_path) as place:
        await place.writer.submit(lambda tx: tx.execute("ALTER TABLE tallies RENAME TO t"))
        with pytest.raises(StoreUnavailable, match="no such table"):
            await place.reader.tallies()
        await place.writer.submit(lambda tx: tx.execute("ALTER TABLE t RENAME TO tallies"))


def _fields(shape: Filter) -> dict[str, Any]:
    return {name: value for name, value in asdict(shape).items() if name not in {"limit", "before"}}


def _holds(shape: Filter, record: dict[str, Any]) -> bool:
    return all(
        (
            shape.status in {None, record["current_status"]},
            shape.to in {None, record["recipient_number"]},
            shape.sender in {None, record["sender_number"]},
            shape.tag in {None, record["tag"]},
            shape.error_code in {None, record["error_code"]},
            shape.mcc in {None, record["mcc"]},
            shape.mnc in {None, record["mnc"]},
            shape.sent_by in {None, record["sent_by"]},
            shape.since_us is None or record["created_at"] >= shape.since_us,
            shape.until_us is None or record["created_at"] < shape.until_us,
            shape.final is None or bool(record["final"]) is shape.final,
        )
    )
