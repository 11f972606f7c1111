"""Accepting: as many as there is room for, and what happens when the system has nothing to give."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import re
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from plivostatusd.config.address import Address
from plivostatusd.host.sockets import listen
from plivostatusd.web.connection import Connection
from plivostatusd.web.connections import Bounds
from plivostatusd.web.entrance import BURST, LEAST, SPARE, Entrance
from plivostatusd.web.exchange import Exchange, ExchangeServer
from plivostatusd.web.metrics import Metrics
from plivostatusd.web.transport.connection import Connection as OurConnection
from tests.logbook import Logbook
from tests.unit.listeners import until
from tests.wire import Wire, ask, spelt

pytestmark = pytest.mark.usefixtures("each_transport")

FLOOD = b"x" * 2**25
"""More than the kernel takes for anybody."""
BOUNDS = Bounds(pause_s=0.01, calm_s=0.05)


class Door(ExchangeServer):
    """Answers when it is told to; /at-once without."""

    def __init__(self) -> None:
        super().__init__(body_bytes_max=1_000)
        self.waiting: list[Exchange] = []

    def handle(self, exchange: Exchange) -> None:
        """Keep a request waiting."""
        if exchange.path == "/at-once":
            exchange.answer(200, "ok\n")
        else:
            self.waiting.append(exchange)

    def answer_one(self) -> None:
        """Answer whoever waits longest."""
        self.waiting.pop(0).answer(200, "ok\n")


class Scarce(socket.socket):
    """A listening socket whose accept fails as it is told to."""

    errors: list[int]

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept, or fail."""
        if self.errors:
            number = self.errors.pop(0)
            raise OSError(number, os.strerror(number))
        return super().accept()


class House:
    """A listener and all that belongs to it."""

    def __init__(self, bounds: Bounds) -> None:
        self.door = Door()
        self.metrics = Metrics()
        self.entrance = Entrance("callbacks", self.door, self.metrics, bounds=bounds)
        self.listening: Scarce
        self.port = 0

    def cut(self, reason: str) -> int:
        """Say how many were cut for this reason."""
        found = re.search(rf'_cut_total{{listener="callbacks",reason="{reason}"}} (\d+)', self.text)
        return int(found[1]) if found else 0

    @property
    def open(self) -> int:
        """Say how many connections the gauge shows."""
        found = re.search(r'connections{listener="callbacks"} (\d+)', self.text)
        assert found
        return int(found[1])

    @property
    def text(self) -> str:
        """Every metric."""
        return self.metrics.text().decode()

    @asynccontextmanager
    async def waiting(self, count: int) -> AsyncIterator[list[Wire]]:
        """Have so many requests in work."""
        async with AsyncExitStack() as stack:
            wires: list[Wire] = []
            before = len(self.door.waiting)
            for _ in range(count):
                wires.append(await stack.enter_async_context(Wire.to(self.port)))
                await wires[-1].write(spelt("GET", "/wait"))
                await self.has_waiting(before + len(wires))
            yield wires

    async def has_open(self, count: int) -> None:
        """Wait until so many are connected."""
        await until(lambda: self.open == count)

    async def has_waiting(self, count: int) -> None:
        """Wait until so many requests are in work."""
        await until(lambda: len(self.door.waiting) == count)

    @asynccontextmanager
    async def idle(self, count: int) -> AsyncIterator[list[Wire]]:
        """Have so many connections that say nothing, the longest open first."""
        async with AsyncExitStack() as stack:
            wires = [await stack.enter_async_context(Wire.to(self.port)) for _ in range(count)]
            await until(lambda: self.open >= min(count, self.entrance._connections.most))
            yield wires


@asynccontextmanager
async def house(**changed: Any) -> AsyncIterator[House]:
    """Listen for the length of a block."""
    made = House(replace(BOUNDS, **changed))
    with listen(Address(host="127.0.0.1", port=0)) as listener:
        made.port = listener.sockets[0].getsockname()[1]
        made.listening = Scarce(fileno=listener.sockets[0].detach())
        made.listening.errors = []
        made.entrance.open([made.listening])
        try:
            yield made
        finally:
            await made.entrance.close()
    assert 0 == made.open


async def served(wire: Wire) -> None:
    """See that a request is answered."""
    assert 200 == (await wire.ask("GET", "/at-once")).status


async def test_room_is_made(logbook: Logbook) -> None:
    """At the bound whoever connects is served, and the longest idle one goes; nothing is logged."""
    async with house(connections_max=5) as here, AsyncExitStack() as stack:
        wires = await stack.enter_async_context(here.idle(5))
        for wire in wires:
            await served(await stack.enter_async_context(Wire.to(here.port)))
            assert b"" == await wire.rest()
            assert 5 == here.open
        assert 5 == here.cut("room")
    assert [] == logbook.lines


@pytest.mark.expect_log("accepting_paused.*all 3 connections are in work")
async def test_no_room(logbook: Logbook) -> None:
    """While all are in work a new one waits, and is served as soon as one of them is answered."""
    async with house(connections_max=3) as here, here.waiting(3) as wires:
        async with Wire.to(here.port) as new:
            asked = asyncio.ensure_future(new.ask("GET", "/at-once"))
            await until(lambda: logbook.events("accepting_paused"))
            assert 3 == here.open
            assert not asked.done()
            here.door.answer_one()
            assert 200 == (await wires[0].answer()).status
            assert 200 == (await asked).status
        await until(lambda: logbook.events("accepting_resumed"))
        assert (1, 1) == (here.cut("room"), len(logbook.events("accepting_paused")))
        for wire in wires[1:]:
            here.door.answer_one()
            assert 200 == (await wire.answer()).status


async def test_who_still_waits_is_let_in_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a burst left waiting is met by one twice as large, until nobody waits any more."""
    async with house() as here:
        server, bursts = here.entrance._server, list[int]()
        take = server.take

        def note(sock: socket.socket, address: Any) -> None:
            bursts.append(here.entrance._burst)
            take(sock, address)

        monkeypatch.setattr(server, "take", note)
        with ExitStack() as stack:
            for count in (BURST + 8, 1):  # within one turn of the loop each
                for _ in range(count):
                    place = ("127.0.0.1", here.port)
                    stack.enter_context(socket.create_connection(place))
                await here.has_open(len(bursts) + count)
        assert [BURST] * BURST + [2 * BURST] * 8 + [BURST] == bursts


@pytest.mark.allow_log("accepting_paused")
async def test_no_request_is_cut_for_room() -> None:
    """Whoever connects while the requests of all others are to be read is served after them."""
    async with house(connections_max=3) as here:
        place, asked = ("127.0.0.1", here.port), spelt("GET", "/at-once")
        with ExitStack() as stack:
            early = [stack.enter_context(socket.create_connection(place)) for _ in range(3)]
            await until(lambda: here.open == 3)
            # Within one turn of the loop: which of these it hears of first is not ours to say.
            for each in early:
                each.sendall(asked)
            late = stack.enter_context(socket.create_connection(place))
            late.sendall(asked)
            for each in (*early, late):
                each.setblocking(False)
                answer = await asyncio.get_running_loop().sock_recv(each, 100)
                assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.expect_log("accepting_paused")
async def test_room_by_leaving(logbook: Logbook) -> None:
    """A client that goes away while its request is in work makes room, too."""
    async with house(connections_max=2) as here, here.waiting(2) as wires:
        asked = asyncio.ensure_future(ask(here.port, "GET", "/at-once"))
        await until(lambda: logbook.events("accepting_paused"))
        wires[0].cut()
        assert 200 == (await asked).status


@pytest.mark.expect_log("accepting_paused.*prlimit")
@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
async def test_nothing_to_give(
    logbook: Logbook, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Without descriptors or memory some of the longest idle go, once, and it is tried again."""
    monkeypatch.setattr("plivostatusd.web.entrance._HINTS", {number: "prlimit --pid {pid}"})
    async with house(calm_s=0.5) as here, here.idle(40) as wires, here.waiting(2):
        here.listening.errors = [number] * 3
        async with Wire.to(here.port) as new:
            await served(new)
            assert SPARE + 1 == here.cut("room")  # and one whose place the new one has
            assert b"" == await wires[0].rest()
        (line,) = logbook.events("accepting_paused")
        assert (os.strerror(number), "callbacks") == (line["reason"], line["listener"])
        assert str(os.getpid()) in line["hint"]
        await until(lambda: logbook.events("accepting_resumed"))
        assert 2 == len(here.door.waiting)
        assert here.entrance._connections.most == BOUNDS.connections_max


@pytest.mark.expect_log("accepting_paused.*Too many open files")
async def test_bound_after_scarcity(logbook: Logbook) -> None:
    """After running out, fewer are let in than there were, so that it does not happen again."""
    async with house(calm_s=60.0) as here, here.idle(SPARE + 20):
        here.listening.errors = [errno.EMFILE]
        async with Wire.to(here.port) as new:
            await served(new)
            assert 20 == here.open
            async with here.idle(30):
                assert 20 == here.open
    assert 1 == len(logbook.events("accepting_paused"))


@pytest.mark.expect_log("accepting_paused.*all 8 connections are in work")
async def test_bound_grows_where_it_must() -> None:
    """When all that were left after running out are in work, one more is tried at a time."""
    async with house(calm_s=60.0) as here, here.waiting(LEAST):
        here.entrance._connections.most = LEAST
        here.listening.errors = [errno.EMFILE] * 2
        async with here.waiting(2):
            assert LEAST + 2 == here.open


@pytest.mark.expect_log("accepting_paused")
async def test_never_a_busy_loop(logbook: Logbook) -> None:
    """While nothing can be accepted it is tried once a pause, however many wait."""
    async with house(pause_s=0.02, calm_s=60.0) as here:
        here.listening.errors = [errno.EMFILE] * 1_000
        loop = asyncio.get_running_loop()
        async with AsyncExitStack() as stack:
            for _ in range(10):
                await stack.enter_async_context(Wire.to(here.port))
            began_s = loop.time()
            await until(lambda: len(here.listening.errors) <= 990)
            assert loop.time() - began_s >= 0.02 * 8
            here.listening.errors = []
            await until(lambda: here.open == 10)
    assert 1 == len(logbook.events("accepting_paused"))


async def test_errors_of_one_client(logbook: Logbook) -> None:
    """A client that was gone before it was accepted is no reason to pause."""
    async with house() as here:
        here.listening.errors = [errno.ECONNABORTED, errno.EPROTO, errno.ENETDOWN]
        async with Wire.to(here.port) as new:
            await served(new)
    assert [] == logbook.lines


@pytest.mark.expect_log("accepting_paused.*Invalid argument")
async def test_errors_of_no_known_kind() -> None:
    """An error that nobody thought of pauses as well, instead of turning in a circle."""
    async with house() as here:
        here.listening.errors = [errno.EINVAL]
        async with Wire.to(here.port) as new:
            await served(new)


async def test_long_work_after_pipelining() -> None:
    """Bounds on heads and idle time leave a request in work alone, pipelined behind another too."""
    bounds = {"head_s_max": 0.05, "body_s_max": 0.05, "idle_s_max": 0.05}
    async with house(**bounds) as here, Wire.to(here.port) as wire, here.idle(1) as others:
        await wire.write(spelt("GET", "/at-once") + spelt("POST", "/wait", b"abc"))
        assert 200 == (await wire.answer()).status
        await until(lambda: here.door.waiting)
        await wire.write(b"GET /at-o")  # what comes early is not read as long as one is in work
        assert b"" == await others[0].rest()
        async with here.idle(1) as later:
            assert b"" == await later[0].rest()
        here.door.answer_one()
        assert 200 == (await wire.answer()).status
        await wire.write(b"nce HTTP/1.1\r\nHost: x\r\n\r\n")
        assert 200 == (await wire.answer()).status


async def test_behind_work() -> None:
    """While a request is in work, what is sent behind it is left to the kernel and the client."""
    async with house() as here, here.waiting(1) as (wire,), Wire.to(here.port) as other:
        sending = asyncio.ensure_future(wire.write(spelt("POST", "/at-once", FLOOD)))
        for _ in range(100):
            await served(other)
        assert not sending.done()
        here.door.answer_one()
        assert [200, 413] == [(await wire.answer()).status for _ in range(2)]
        await asyncio.wait([sending])
        assert isinstance(sending.exception(), ConnectionError)


@pytest.mark.parametrize("part", [b"G", spelt("GET", "/at-once") + b"G", b"\r"])
async def test_trickling_gains_no_time(part: bytes) -> None:
    """A head that goes on and on is cut in time, a first one and a later one alike."""
    async with house(head_s_max=0.1) as here, Wire.to(here.port) as wire:
        await wire.write(part)
        gone = asyncio.ensure_future(wire.rest())
        while not gone.done():
            await wire.write(b"x")
            await asyncio.wait([gone], timeout=0.01)
        assert 1 == here.cut("head")


async def test_stop_and_close() -> None:
    """After a stop nobody new is let in, what is in work is answered, and close ends the rest."""
    async with house() as here, here.waiting(1) as wires, here.idle(1) as idle:
        here.entrance.stop()
        with pytest.raises(ConnectionRefusedError):
            async with Wire.to(here.port):
                pass
        here.door.answer_one()
        assert 200 == (await wires[0].answer()).status
        await here.entrance.close()
        assert b"" == await idle[0].rest()


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"GET", b"x" * 40_000, b"GET / HTTP/1.1\n\n", b"GET / HTTP/9\r\n\r\n"),
        *(spelt("GET", "/at-once"), spelt("POST", "/at-once", b"abc")[:-1]),
    ],
    ids=["fresh", "head", "flood", "ambiguous", "malformed", "idle", "body"],
)
async def test_no_cycles(data: bytes) -> None:
    """A connection that is cut is gone with its buffers, without the garbage collector."""
    async with house(head_s_max=0.02, body_s_max=0.02, idle_s_max=0.02) as here:
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                async with Wire.to(here.port) as wire:
                    await wire.write(data)
                    await wire.rest()
            await until(lambda: here.open == 0)
            for _ in range(5):  # rounds of the loop in which Tornado's tasks come to their ends
                await asyncio.sleep(0)
            kinds = (Connection, OurConnection)
            assert [] == [each for each in gc.get_objects() if isinstance(each, kinds)]
        finally:
            gc.enable()
