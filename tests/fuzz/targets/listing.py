"""
The local API's lists: any query is a page, or a refusal that says what is wrong with it.

An input is a request (tests/fuzz/arrived.py) for `/messages` or, by any other path, for `/events`.
It is asked of a real store of thirty-two messages; what a page must hold is found out by looking at
every row.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, TypeVar, cast

from tornado.httputil import HTTPInputError, HTTPServerRequest

from plivostatusd.domain import phone
from plivostatusd.domain.errors import StoreDamaged
from plivostatusd.store import database, receipts, submissions
from plivostatusd.store.reader import Filter, Reader
from plivostatusd.store.transaction import Transaction
from plivostatusd.web import events, filters, messages, shapes
from plivostatusd.web.events import CursorGone, EventsHandler
from plivostatusd.web.handler import BadQuery, Handler, count, seconds
from plivostatusd.web.problems import of_refusal
from tests.fuzz import arrived
from tests.fuzz.arrived import Arrived
from tests.unit.store_place import SECOND_US, START_US, arrival, rows_of, submission, uuid

GENERATION: Final = "0123abcd"
TAGS: Final = (None, "backup", "\u00e9t\u00e9", "a b")
STATUSES: Final = ("queued", "sent", "delivered", "undelivered")
GONE_BEFORE: Final = 5
LATEST_US: Final = 253_402_300_800_000_000
WORDS: Final = (
    *b"&since= 310-150 310 &after= &wait= end after=0123abcd-4 after=0123abcd-40".split(),
    *b"after=0123abcd-999999999999999999 cursor=1790000000000000.3".split(),
    *b"cursor=1790000002000000.11 999999999999999999 %2B14155552323 +14155551212".split(),
    *b"backup %C3%A9t%C3%A9 a+b true 0 1 2026-09-21T14:13:20Z".split(),
    *b"2026-09-21T14:13:25.5+00:00 0001-01-01T00:00:00%2B23:59".split(),
    *b"9999-12-31T23:59:59-23:59 30s queued pending delivered %00 %FF".split(),
    *(f"&{name}=".encode() for name in messages._NAMES),
    b"GET /messages?",
    b"GET /events?",
    b"\nLast-Event-ID: ",
)

Record = dict[str, Any]
Handling = TypeVar("Handling", bound=Handler)


@contextmanager
def opened(folder: Path) -> Iterator[Callable[[bytes], None]]:
    """Give the target, on a store of its own."""
    path = folder / "status.db"
    _fill(path)
    rows = _every_row(path, "messages", "created_at DESC, row DESC")
    kept = _every_row(path, "events", "row")
    with closing(asyncio.new_event_loop()) as loop:
        found: list[StoreDamaged] = []
        reader = Reader(path, condemn=found.append)
        try:
            lists = _Lists(reader, rows, kept)
            yield lambda content: loop.run_until_complete(lists.check(content))
        finally:
            loop.run_until_complete(reader.close())
        assert [] == found


def _fill(path: Path) -> None:
    """Make sends and callbacks of every kind, and forget the oldest events."""
    with closing(database.connect_writer(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        transaction = Transaction(connection)
        for number in range(16):
            now_us = START_US + number // 2 * SECOND_US
            tag, sender = TAGS[number % 4], ("+14155551212", "ACME")[number % 3 % 2]
            submissions.accept(transaction, submission(tag=tag, sender=sender, now_us=now_us))
            status = STATUSES[number // 4]
            given = arrival(message_uuid=uuid(number), status=status, received_us=now_us)
            receipts.record(transaction, given)
        transaction.write_counts()
        connection.execute("UPDATE facts SET value = ? WHERE name = 'generation'", (GENERATION,))
        connection.execute("DELETE FROM events WHERE row < ?", (GONE_BEFORE,))
        connection.execute("COMMIT")


def _every_row(path: Path, table: str, order: str) -> list[Record]:
    names = rows_of(path, f"SELECT name FROM pragma_table_xinfo('{table}')")  # noqa: S608 - ours
    rows = rows_of(path, f"SELECT * FROM {table} ORDER BY {order}")  # noqa: S608 - ours
    return [dict(zip(names, row, strict=True)) for row in rows]


class _Nobody:
    """The other end of no connection."""

    context = None


class _Lists:
    """Both lists, each with what it must be equal to."""

    def __init__(self, reader: Reader, rows: list[Record], kept: list[Record]) -> None:
        self._reader = reader
        self._rows = rows
        self._kept = kept

    async def check(self, content: bytes) -> None:
        """Ask what *content* asks, and judge the answer."""
        request = arrived.read(content)
        if request is None:
            return
        is_messages = request.signed.path == "/messages"
        try:
            await (self._messages(request) if is_messages else self._events(request))
        except HTTPInputError:
            return  # more parameters than Tornado takes: its own 400
        except (BadQuery, CursorGone) as refusal:
            document = of_refusal(refusal)
            assert document.get("problems") != []
            json.dumps(document, ensure_ascii=False).encode()

    async def _messages(self, request: Arrived) -> None:
        handler = _handler(messages.MessagesHandler, request)
        wanted = messages._filter(handler.query(*messages._NAMES))
        _check_bounds(wanted)
        page = await self._reader.messages(wanted)
        expected = [row for row in self._rows if _fits(row, wanted)][: wanted.limit]
        assert expected == page.records
        is_full = len(expected) == wanted.limit
        last = (expected[-1]["created_at"], expected[-1]["row"]) if is_full else None
        assert last == page.next
        for record in page.records:
            json.dumps(shapes.message(record), ensure_ascii=False).encode()

    async def _events(self, request: Arrived) -> None:
        handler = _handler(EventsHandler, request)
        handler.services = cast("Any", SimpleNamespace(reader=self._reader))
        handler._generation = await self._reader.generation()
        query = handler.query(*events._NAMES)
        limit = count(query, "limit", events._PAGE, events.PAGE_MAX, least=0)
        assert 0 <= limit <= events.PAGE_MAX
        assert 0 <= seconds(query, "wait", 0.0, events.WAIT_S_MAX) <= events.WAIT_S_MAX
        after = request.headers.get("Last-Event-ID") or query.get("after")
        since_us = filters.instant(query, "since")
        cursor = await handler._start(after, since_us)
        newest = self._kept[-1]["row"]
        assert GONE_BEFORE - 1 <= cursor <= newest
        found = await self._reader.events_after(cursor, limit)
        expected = [row["row"] for row in self._kept if row["row"] > cursor]
        assert expected[:limit] == [record["cursor"] for record in found]
        for record in found:
            json.dumps(shapes.happening(record, GENERATION), ensure_ascii=False).encode()


def _handler(kind: type[Handling], request: Arrived) -> Handling:
    """Make a handler that has its request and nothing else: no connection, and no guards."""
    handler = object.__new__(kind)
    handler.request = HTTPServerRequest(
        start_line=request.start_line,
        headers=request.with_headers(host="localhost").headers,
        connection=cast("Any", _Nobody()),
    )
    return handler


def _check_bounds(wanted: Filter) -> None:
    """Say that a filter asks for nothing that SQLite or a page cannot hold."""
    assert 1 <= wanted.limit <= messages.PAGE_MAX
    for instant_us in (wanted.since_us, wanted.until_us):
        assert instant_us is None or abs(instant_us) < LATEST_US
    for part in wanted.before or ():
        assert 0 <= part < 10**18
    for number in (wanted.to, wanted.sender):
        assert number is None or number == phone.normalise_sender(number)
    for text in wanted.equalities().values():
        text.encode()


def _fits(row: Record, wanted: Filter) -> bool:
    """Say whether *row* is one of those that *wanted* asks for."""
    if any(row[column] != value for column, value in wanted.equalities().items()):
        return False
    return (
        (wanted.final is None or bool(row["final"]) == wanted.final)
        and (wanted.since_us is None or row["created_at"] >= wanted.since_us)
        and (wanted.until_us is None or row["created_at"] < wanted.until_us)
        and (wanted.before is None or (row["created_at"], row["row"]) < wanted.before)
    )
