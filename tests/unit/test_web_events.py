"""`GET /events`: every event once, by cursor, by long poll, or as an event stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from plivostatusd.domain.errors import StoreUnavailable
from plivostatusd.web.followers import FOLLOWERS_MAX
from tests.unit.listeners import Listeners, callback, running, until
from tests.wire import Answer, Wire, ask, spelt

pytestmark = pytest.mark.usefixtures("each_transport")

STREAM = {"Accept": "text/event-stream"}


@pytest.fixture
def house(io_loop: IOLoop, tmp_path: Path) -> Iterator[Listeners]:
    """Both listeners, over an empty store."""
    with running(io_loop, tmp_path) as listeners:
        yield listeners


async def reported(house: Listeners, *statuses: str) -> None:
    """Have Plivo report each of *statuses*."""
    for status in statuses:
        assert 200 == (await house.deliver(callback(house, status))).status


async def page(house: Listeners, query: str = "") -> dict[str, Any]:
    """Ask for one page."""
    reply = await house.api("GET", f"/events?{query}")
    assert 200 == reply.status, reply.text
    return dict(reply.json)


def words(events: list[dict[str, Any]]) -> list[str]:
    """Give the status that each event reported."""
    return [each["event"]["status"] for each in events]


async def test_everything_in_commit_order(house: Listeners) -> None:
    """Without a cursor it begins with the oldest event; each names its message and its state."""
    await reported(house, "queued", "delivered", "sent")
    events = (await page(house))["events"]
    assert ["queued", "delivered", "sent"] == words(events)
    assert ["queued", "delivered", "delivered"] == [each["status"] for each in events]
    names = {"cursor", "message_id", "message_uuid", "tag", "to", "event", "status"}
    names |= {"from", "sent_by", "mcc", "mnc"}
    assert [names] * 3 == [set(each) for each in events]
    assert {"+14155552323"} == {each["to"] for each in events}
    found = (await house.api("GET", f"/messages/{events[0]['message_id']}")).json
    assert found["events"] == [each["event"] for each in events]


async def test_cursor(house: Listeners) -> None:
    """Each page goes on where the one before ended, and an empty one keeps its place."""
    await reported(house, "queued", "sent", "delivered")
    seen: list[str] = []
    cursor = ""
    for expected in (2, 1, 0, 0):
        found = await page(house, f"limit=2{cursor}")
        assert expected == len(found["events"])
        seen += words(found["events"])
        cursor = f"&after={found['next']}"
    assert ["queued", "sent", "delivered"] == seen
    await reported(house, "read")
    assert ["read"] == words((await page(house, cursor[1:]))["events"])


async def test_since(house: Listeners) -> None:
    """`since` begins with what was received from then on; a cursor that is given goes before."""
    await reported(house, "queued", "sent", "delivered")
    whole = await page(house)
    times = [each["event"]["received_at"] for each in whole["events"]]
    assert ["sent", "delivered"] == words((await page(house, f"since={times[1]}"))["events"])
    assert [] == (await page(house, "since=2100-01-01T00:00:00Z"))["events"]
    assert 3 == len((await page(house, "since=2001-01-01T00:00:00Z"))["events"])
    first = whole["events"][0]["cursor"]
    assert 2 == len((await page(house, f"after={first}&since={times[2]}"))["events"])
    assert 400 == (await house.api("GET", "/events?since=soon")).status


async def test_end(house: Listeners) -> None:
    """`after=end` begins with what comes next; so does the cursor of a page without a place."""
    await reported(house, "queued", "sent")
    found = await page(house, "after=end")
    assert [] == found["events"]
    assert [] == (await page(house, "limit=0&after=end"))["events"]
    await reported(house, "delivered")
    assert ["delivered"] == words((await page(house, f"after={found['next']}"))["events"])


async def test_empty_store(house: Listeners) -> None:
    """A store without events gives none, and a cursor that holds."""
    found = await page(house)
    assert [] == found["events"]
    await reported(house, "queued")
    assert ["queued"] == words((await page(house, f"after={found['next']}"))["events"])


async def test_long_poll_wakes(house: Listeners) -> None:
    """A long poll answers as soon as something is committed."""
    waiting = asyncio.ensure_future(page(house, "after=end&wait=30s"))
    await until(lambda: house.writer._changed)
    began_s = asyncio.get_running_loop().time()
    await reported(house, "sent")
    assert ["sent"] == words((await waiting)["events"])
    assert asyncio.get_running_loop().time() - began_s < 5


async def test_long_poll_sleeps_on(house: Listeners) -> None:
    """A commit that brings no event does not end a long poll."""
    request = callback(house)
    await house.deliver(request)
    waiting = asyncio.ensure_future(page(house, "after=end&wait=30s"))
    await until(lambda: house.writer._changed)
    await house.deliver(request)
    await until(lambda: house.writer._changed)
    assert not waiting.done()
    await reported(house, "sent")
    assert ["sent"] == words((await waiting)["events"])


async def test_long_poll_ends(house: Listeners) -> None:
    """A long poll that nothing comes to ends in time, empty, with the cursor it came with."""
    before = await page(house, "after=end")
    assert before == await page(house, f"after={before['next']}&wait=0.05s")


async def test_many_wait_at_once(house: Listeners) -> None:
    """Whoever waits, each hears of each event."""
    polls = [asyncio.ensure_future(page(house, "after=end&wait=30s")) for _ in range(20)]
    # Each knows by then what its "end" is: none may learn it after the event.
    await until(lambda: house.services.followers.count == 20)
    await until(lambda: house.writer._changed)
    await reported(house, "sent")
    assert [["sent"]] * 20 == [words((await poll)["events"]) for poll in polls]


async def test_too_many_follow(house: Listeners) -> None:
    """Past so many long polls and streams another is 503; who does not wait is served."""
    house.services.followers.count = FOLLOWERS_MAX - 2
    async with Stream.of(house), Wire.to(house.api_port) as poll:
        await poll.write(spelt("GET", "/events?after=end&wait=30s"))
        await until(lambda: house.services.followers.count == FOLLOWERS_MAX)
        for target, headers in (("/events?wait=1s", {}), ("/events", STREAM)):
            reply = await house.api("GET", target, headers=headers)
            assert (503, "5") == (reply.status, reply.headers["Retry-After"])
            assert "urn:plivostatusd:problem:too-many-follow" == reply.json["type"]
        assert [] == (await page(house))["events"]
        await reported(house, "sent")
        assert ["sent"] == words((await poll.answer()).json["events"])
        assert ["sent"] == words((await page(house, "wait=1s"))["events"])
    await until(lambda: house.services.followers.count == FOLLOWERS_MAX - 2)


async def test_stop_ends_long_polls(house: Listeners) -> None:
    """When the daemon stops, who waits is answered at once."""
    waiting = asyncio.ensure_future(page(house, "after=end&wait=60s"))
    await until(lambda: house.writer._changed)
    house.services.stopping.set()
    assert [] == (await waiting)["events"]
    assert await house.services.in_flight.empty(within_s=5)


@pytest.mark.parametrize(
    "query", ["wait=1h", "wait=61", "limit=1001", "limit=x", "after=nonsense", "after=", "since=1"]
)
async def test_query_that_is_not_understood(house: Listeners, query: str) -> None:
    """What cannot be meant is 400 and names the parameter."""
    reply = await house.api("GET", f"/events?{query}")
    assert 400 == reply.status
    assert [query.partition("=")[0]] == [each["field"] for each in reply.json["problems"]]


async def test_foreign_cursor(house: Listeners) -> None:
    """A cursor of another store, of the future, or from behind retention is 410."""
    await reported(house, "queued", "sent", "delivered")
    found = (await page(house))["events"]
    generation, _, newest = found[-1]["cursor"].partition("-")
    for gone in (f"00000000-{newest}", f"{generation}-{int(newest) + 1}", f"{generation}-{10**17}"):
        for headers in ({}, STREAM):
            reply = await house.api("GET", f"/events?after={gone}", headers=headers)
            assert 410 == reply.status
            assert "urn:plivostatusd:problem:cursor-gone" == reply.json["type"]
    await house.writer.submit(lambda tx: tx.execute("DELETE FROM events WHERE row < 3"))
    assert 410 == (await house.api("GET", f"/events?after={found[0]['cursor']}")).status
    assert ["delivered"] == words((await page(house, f"after={found[1]['cursor']}"))["events"])
    assert ["delivered"] == words((await page(house))["events"])


class Stream:
    """An event stream, read event by event."""

    def __init__(self, wire: Wire, head: Answer) -> None:
        self.head = head
        self._chunks = wire.chunks()
        self._text = ""

    @classmethod
    @asynccontextmanager
    async def of(cls, house: Listeners, query: str = "", **headers: str) -> AsyncIterator[Stream]:
        """Open a stream for the length of a block."""
        async with Wire.to(house.api_port) as wire:
            await wire.write(spelt("GET", f"/events?{query}", headers={**STREAM, **headers}))
            yield cls(wire, await wire.head())

    async def block(self) -> str:
        """Give the next block, an event or a comment; nothing at the end."""
        while "\n\n" not in self._text:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                return ""
            self._text += chunk.decode()
        block, _, self._text = self._text.partition("\n\n")
        return block

    async def event(self) -> tuple[str, dict[str, Any]]:
        """Give the next event: its id, and what it says."""
        name, kind, data = (await self.block()).split("\n")
        assert "event: event" == kind
        return name.removeprefix("id: "), json.loads(data.removeprefix("data: "))


async def test_stream(house: Listeners) -> None:
    """A stream gives what was and what comes, each with its cursor as its id."""
    await reported(house, "queued")
    async with Stream.of(house) as stream:
        assert "text/event-stream" == stream.head.headers["Content-Type"]
        assert "no" == stream.head.headers["X-Accel-Buffering"]
        name, first = await stream.event()
        assert (name, "queued") == (first["cursor"], first["event"]["status"])
        await reported(house, "sent", "delivered")
        assert "sent" == (await stream.event())[1]["event"]["status"]
        assert "delivered" == (await stream.event())[1]["event"]["status"]


async def test_stream_resumes(house: Listeners) -> None:
    """Who comes back with Last-Event-ID misses nothing and gets nothing twice."""
    await reported(house, "queued", "sent")
    async with Stream.of(house) as stream:
        name, _ = await stream.event()
    await reported(house, "delivered")
    async with Stream.of(house, "after=end", **{"Last-Event-ID": name}) as stream:
        assert ["sent", "delivered"] == [
            (await stream.event())[1]["event"]["status"] for _ in range(2)
        ]


@pytest.mark.parametrize("query", ["after=nonsense", "since=yesterday"])
async def test_nonsense_beside_last_event_id(house: Listeners, query: str) -> None:
    """What is not understood is refused, though Last-Event-ID goes before it."""
    await reported(house, "queued")
    name = (await house.api("GET", "/events")).json["next"]
    reply = await house.api("GET", f"/events?{query}", headers={"Last-Event-ID": name})
    assert 400 == reply.status


async def test_stream_of_many(house: Listeners) -> None:
    """More events than fit one page come through a stream whole and in order."""
    numbers = [f"+1415{index:07}" for index in range(2_000_000, 2_000_350)]
    await house.api("POST", "/send?wait=0", {"to": numbers, "text": "hello"})
    async with Stream.of(house) as stream:
        assert numbers == [(await stream.event())[1]["to"] for _ in numbers]


async def test_heartbeat(house: Listeners) -> None:
    """A stream to which nothing comes says now and then that it is alive."""
    house.services.heartbeat_s = 0.01
    async with Stream.of(house) as stream:
        assert (await stream.block()).startswith(":")
        assert (await stream.block()).startswith(":")
        await reported(house, "sent")
        block = await stream.block()
        while block.startswith(":"):
            block = await stream.block()
        assert block.startswith("id: ")


async def test_listener_that_leaves(house: Listeners) -> None:
    """A stream or a long poll whose client went away is over, with nobody left waiting."""
    tasks = asyncio.all_tasks()
    for headers in (STREAM, {}):
        async with Wire.to(house.api_port) as wire:
            await wire.write(spelt("GET", "/events?after=end&wait=60s", headers=headers))
            await until(lambda: house.services.in_flight.count == 1)
            await house.api("GET", "/health")  # a round trip, in which the other one settles
        await until(lambda: house.services.in_flight.count == 0)
        await until(lambda: asyncio.all_tasks() <= tasks)


async def test_stop_ends_streams(house: Listeners) -> None:
    """When the daemon stops, a stream ends in good order."""
    async with Stream.of(house) as stream:
        await until(lambda: house.writer._changed)
        house.services.stopping.set()
        block = await stream.block()
        while block:
            block = await stream.block()
    assert await house.services.in_flight.empty(within_s=5)


async def test_store_that_fails_under_a_stream(
    house: Listeners, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream that the store fails ends, so that its reader comes back; nothing is logged."""
    await reported(house, "sent")
    async with Stream.of(house) as stream:
        await stream.event()

        async def failing(*_: object) -> None:
            raise StoreUnavailable

        monkeypatch.setattr(house.reader, "events_after", failing)
        await reported(house, "delivered")
        assert "" == await stream.block()


async def test_over_the_unix_socket(house: Listeners) -> None:
    """Events are to be had over the Unix socket, too."""
    await reported(house, "sent")
    reply = await ask(house.api_socket, "GET", "/events?wait=1s")
    assert ["sent"] == words(reply.json["events"])
