"""Answers that come line by line: to their end, to a client's, or to the daemon's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from tornado.ioloop import IOLoop
from tornado.web import Application

from plivostatusd.domain.errors import StoreUnavailable
from plivostatusd.web.lines import MEDIA_TYPE, LinesHandler
from tests.unit.listeners import Listeners, running, serve, until
from tests.wire import Wire, ask, spelt

Document = dict[str, Any]


class Told:
    """What a request is answered with, document by document, as the test hands them out."""

    def __init__(self) -> None:
        self.more: asyncio.Queue[Document | Exception | None] = asyncio.Queue()
        self.is_closed = False

    async def documents(self) -> AsyncGenerator[Document, None]:
        """Give what is handed out; None is the end."""
        try:
            while (each := await self.more.get()) is not None:
                if isinstance(each, Exception):
                    raise each
                yield each
        finally:
            self.is_closed = True


class Handler(LinesHandler):
    """Streams what a test tells it to."""

    told: Told

    async def post(self) -> None:
        """Stream."""
        self.told = self.application.settings["told"]
        await self.stream(self.told.documents())


@pytest.fixture
def house(io_loop: IOLoop, tmp_path: Path) -> Iterator[Listeners]:
    """Both listeners, over an empty store."""
    with running(io_loop, tmp_path) as listeners:
        yield listeners


async def door(house: Listeners, stack: AsyncExitStack) -> tuple[int, Told]:
    """Listen with the handler above."""
    told = Told()
    app = Application(
        [(r"/lines", Handler)],
        services=house.services,
        told=told,
        log_function=lambda _: None,
    )
    return await serve(stack, app, house.metrics), told


async def test_to_the_end(house: Listeners) -> None:
    """Each document is a line of its own, one JSON object, whatever is in it."""
    async with AsyncExitStack() as stack:
        port, told = await door(house, stack)
        documents: list[Document] = [{"a": 1}, {"b": "line\nbreak, ü"}, {"c": None}]
        for each in (*documents, None):
            told.more.put_nowait(each)
        reply = await ask(port, "POST", "/lines", b"")
        assert (200, MEDIA_TYPE) == (reply.status, reply.headers["Content-Type"])
        assert documents == [json.loads(line) for line in reply.body.splitlines()]
        assert told.is_closed


async def test_as_they_come(house: Listeners) -> None:
    """A document is on its way before there is a next one."""
    async with AsyncExitStack() as stack:
        port, told = await door(house, stack)
        async with Wire.to(port) as wire:
            await wire.write(spelt("POST", "/lines", b""))
            told.more.put_nowait({"n": 1})
            assert 200 == (await wire.head()).status
            chunks = wire.chunks()
            assert b'{"n":1}\n' == await anext(chunks)
            told.more.put_nowait({"n": 2})
            assert b'{"n":2}\n' == await anext(chunks)
            told.more.put_nowait(None)
            assert [] == [chunk async for chunk in chunks]


async def test_nothing_to_tell(house: Listeners) -> None:
    """Where there is nothing the answer is empty, and good."""
    async with AsyncExitStack() as stack:
        port, told = await door(house, stack)
        told.more.put_nowait(None)
        reply = await ask(port, "POST", "/lines", b"")
        assert (200, b"") == (reply.status, reply.body)


@pytest.mark.parametrize("after", [0, 2])
async def test_refused_on_the_way(house: Listeners, after: int) -> None:
    """A refusal once the answer has begun is its last line, as the problem that it is."""
    async with AsyncExitStack() as stack:
        port, told = await door(house, stack)
        for number in range(after):
            told.more.put_nowait({"n": number})
        told.more.put_nowait(StoreUnavailable("the disk is full"))
        reply = await ask(port, "POST", "/lines", b"")
        *lines, last = [json.loads(line) for line in reply.body.splitlines()]
        assert [{"n": number} for number in range(after)] == lines
        assert 503 == last["error"]["status"]
        assert "disk" in last["error"]["detail"]
        assert told.is_closed


@pytest.mark.expect_log("request_failed")
@pytest.mark.expect_log("after headers written")
async def test_a_fault_of_ours(house: Listeners) -> None:
    """A bug of ours is logged, and ends the answer: whoever waits for a last line knows by that."""
    async with AsyncExitStack() as stack:
        port, told = await door(house, stack)
        for each in ({"n": 1}, ZeroDivisionError(), {"done": True}):
            told.more.put_nowait(each)
        reply = await ask(port, "POST", "/lines", b"")
        assert b'{"n":1}\n' == reply.body
        assert told.is_closed


async def test_the_client_goes_away(house: Listeners) -> None:
    """Nothing more is found out for a client that is gone, and its request is over."""
    async with AsyncExitStack() as stack:
        port, told = await door(house, stack)
        before = house.services.in_flight.count
        async with Wire.to(port) as wire:
            await wire.write(spelt("POST", "/lines", b""))
            told.more.put_nowait({"n": 1})
            await wire.head()
            assert before < house.services.in_flight.count
        await until(lambda: told.is_closed)
        await until(lambda: house.services.in_flight.count == before)


async def test_a_client_that_reads_nothing_goes_away(house: Listeners) -> None:
    """A client that is gone while a line is written to it ends it just so."""
    async with AsyncExitStack() as stack:
        port, told = await door(house, stack)
        async with Wire.to(port) as wire:
            await wire.write(spelt("POST", "/lines", b""))
            told.more.put_nowait({"n": "x" * 10_000_000})
            await wire.head()
        for _ in range(3):
            told.more.put_nowait({"n": 2})
        await until(lambda: told.is_closed)


async def test_the_daemon_stops(house: Listeners) -> None:
    """When the daemon stops the answer ends where it is, and what was looked for is left."""
    async with AsyncExitStack() as stack:
        port, told = await door(house, stack)
        async with Wire.to(port) as wire:
            await wire.write(spelt("POST", "/lines", b""))
            told.more.put_nowait({"n": 1})
            await wire.head()
            chunks = wire.chunks()
            await anext(chunks)
            house.services.stopping.set()
            assert [] == [chunk async for chunk in chunks]
        assert told.is_closed


async def test_the_daemon_has_stopped(house: Listeners) -> None:
    """A request that comes after that is answered with nothing."""
    async with AsyncExitStack() as stack:
        port, _ = await door(house, stack)
        house.services.stopping.set()
        reply = await ask(port, "POST", "/lines", b"")
        assert (200, b"") == (reply.status, reply.body)
        assert "close" == reply.headers["Connection"]


async def test_nobody_waits_any_more(house: Listeners) -> None:
    """Whoever watched for the daemon's end is gone with the request, refused ones included."""
    async with AsyncExitStack() as stack:
        port, told = await door(house, stack)
        before = len(asyncio.all_tasks())
        told.more.put_nowait(None)
        await ask(port, "POST", "/lines", b"")
        assert 405 == (await ask(port, "GET", "/lines")).status
        assert 403 == (await ask(port, "POST", "/lines", b"", {"Host": "example.com"})).status
        await until(lambda: len(asyncio.all_tasks()) <= before)
