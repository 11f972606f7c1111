"""A connection of ours, by itself: each kind of answer, and doors and clients that are slow."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPOutputError,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.iostream import StreamClosedError

from plivostatusd.web.connections import Bounds, Connections
from plivostatusd.web.transport.server import Server
from tests.logbook import Logbook
from tests.unit.listeners import until
from tests.wire import Wire, spelt

BOUNDS = Bounds(answer_s_max=60.0)
LARGE = b"x" * 4_000_000


class Door(HTTPServerConnectionDelegate):
    """Hands each request to *play*, which may answer, raise or make it wait."""

    def __init__(self, play: Callable[[Request], Any] | None = None) -> None:
        self.requests: list[Request] = []
        self.play = play or (lambda request: request.answer(b"ok"))
        self.ready: Callable[[], Awaitable[None] | None] = lambda: None

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> Request:
        """Begin one."""
        del server_conn
        self.requests.append(Request(self, request_conn))
        return self.requests[-1]


class Request(HTTPMessageDelegate):
    """One request, and what was heard of it."""

    def __init__(self, door: Door, connection: HTTPConnection) -> None:
        self.connection: Any = connection
        self.body = b""
        self.heard: list[str] = []
        self._door = door

    def headers_received(self, start_line: Any, headers: HTTPHeaders) -> Awaitable[None] | None:
        """Hear of the head."""
        self.line: RequestStartLine = start_line
        self.headers = headers
        self.heard.append("head")
        return self._door.ready()

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Hear of a part of the body."""
        self.body += chunk
        self.heard.append("body")
        return self._door.ready()

    def finish(self) -> None:
        """Hear that it is whole."""
        self.heard.append("whole")
        self._door.play(self)

    def on_connection_close(self) -> None:
        """Hear that it will not be."""
        self.heard.append("gone")

    def head(self, code: int = 200, chunk: bytes = b"", **fields: str) -> asyncio.Future[None]:
        """Begin an answer."""
        headers = HTTPHeaders({name.replace("_", "-"): text for name, text in fields.items()})
        future: asyncio.Future[None] = self.connection.write_headers(
            ResponseStartLine("HTTP/1.1", code, "So"), headers, chunk
        )
        return future

    def answer(self, body: bytes, code: int = 200) -> None:
        """Answer at once."""
        self.head(code, body, Content_Length=str(len(body)))
        self.connection.finish()


@asynccontextmanager
async def served(door: Door, bounds: Bounds = BOUNDS) -> AsyncIterator[int]:
    """Serve *door* on a port, for the length of a block; afterwards nobody is left."""
    loop = asyncio.get_running_loop()
    connections = Connections(bounds, lambda _: None)
    server = Server(door, connections)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        loop.add_reader(listening, lambda: server.take(*listening.accept()))
        try:
            yield listening.getsockname()[1]
        finally:
            loop.remove_reader(listening)
            await server.close()
            connections.close()
    assert 0 == len(connections)


async def test_lengths() -> None:
    """An answer of known length goes out as it is, and the next request is read."""
    async with served(Door()) as port, Wire.to(port) as wire:
        for _ in range(3):
            reply = await wire.ask("POST", "/", b"abc")
            assert (200, b"ok", "2") == (reply.status, reply.body, reply.headers["Content-Length"])


async def test_chunks() -> None:
    """An answer of unknown length goes out in chunks, none of them empty."""

    def play(request: Request) -> None:
        request.head(chunk=b"one")
        for part in (b"", b"two"):
            request.connection.write(part)
        request.connection.finish()

    async with served(Door(play)) as port, Wire.to(port) as wire:
        for _ in range(2):
            assert b"onetwo" == (await wire.ask("GET", "/")).body


@pytest.mark.parametrize(("method", "code"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_no_body(method: str, code: int) -> None:
    """What has no body by HTTP's rules has no chunks either, not even a last one."""

    def play(request: Request) -> None:
        request.head(code)
        request.connection.finish()

    async with served(Door(play)) as port, Wire.to(port) as wire:
        await wire.write(spelt(method, "/") + spelt(method, "/", headers={"Connection": "close"}))
        said = await wire.rest()
        assert 2 == said.count(b"HTTP/1.1 ") == said.count(b"\r\n\r\n")
        assert b"Transfer-Encoding" not in said


@pytest.mark.parametrize("keep", ["", "Connection: keep-alive\r\n"])
async def test_http_1_0_of_unknown_length(keep: str) -> None:
    """An answer to HTTP/1.0 without a length ends with the connection, whatever was asked."""

    def play(request: Request) -> None:
        request.head(chunk=b"one")
        request.connection.finish()

    async with served(Door(play)) as port, Wire.to(port) as wire:
        await wire.write(f"GET / HTTP/1.0\r\n{keep}\r\n".encode())
        assert (await wire.rest()).endswith(b"\r\n\r\none")


async def test_wrong_lengths() -> None:
    """An answer longer or shorter than it says is an error, and the connection ends."""
    raised: list[type] = []

    def play(request: Request) -> None:
        try:
            request.head(chunk=request.body, Content_Length="3")
            request.connection.finish()
        except HTTPOutputError as error:
            raised.append(type(error))

    async with served(Door(play)) as port:
        for body in (b"ab", b"abcd"):
            async with Wire.to(port) as wire:
                await wire.write(spelt("POST", "/", body))
                await wire.rest()
    assert [HTTPOutputError] * 2 == raised


@pytest.mark.expect_log("request_failed")
@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\rb"])
async def test_header_injection(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that would begin another line is never written."""
    monkeypatch.setattr(HTTPHeaders, "get_all", lambda _: [("X", value)])
    async with served(Door(lambda request: request.head())) as port, Wire.to(port) as wire:
        await wire.write(spelt("GET", "/"))
        assert b"" == await wire.rest()


async def test_doors_that_are_slow(logbook: Logbook) -> None:
    """A door that gets ready first is given the body afterwards, and loses nothing of it."""
    door = Door()
    waiting: list[asyncio.Future[None]] = []

    def ready() -> asyncio.Future[None]:
        waiting.append(asyncio.get_running_loop().create_future())
        return waiting[-1]

    door.ready = ready
    body = bytes(range(256)) * 400
    async with served(door) as port, Wire.to(port) as wire:
        await wire.write(spelt("POST", "/", body) + spelt("GET", "/"))
        for _ in range(2):
            answered = asyncio.ensure_future(wire.answer())
            while not answered.done():
                await until(lambda: waiting or answered.done())  # noqa: B023 - called at once
                while waiting:
                    waiting.pop().set_result(None)
            assert 200 == (await answered).status
        assert body == door.requests[0].body
    assert [] == logbook.lines


@pytest.mark.parametrize("at", ["head", "body", "whole"])
@pytest.mark.expect_log("request_failed")
async def test_doors_that_fail(at: str) -> None:
    """A door that raises costs its own connection, and says so in the log."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    door = Door(fail if at == "whole" else None)
    async with served(door) as port, Wire.to(port) as wire:
        if at == "head":
            door.ready = fail
        await wire.write(spelt("POST", "/", b"abcdef")[:-3])
        if at == "body":
            await until(lambda: door.requests and "body" in door.requests[0].heard)
            door.ready = fail
        await wire.write(b"def")
        assert b"" == await wire.rest()


@pytest.mark.parametrize("end", ["raised", "raised later", "cancelled"])
async def test_doors_that_never_get_ready(end: str, logbook: Logbook) -> None:
    """A door that fails while it gets ready costs its own connection, too."""
    door = Door()
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    door.ready = lambda: ready
    if end != "cancelled":
        logbook.expect("request_failed")
    if end == "raised":
        ready.set_exception(ZeroDivisionError())
    async with served(door) as port, Wire.to(port) as wire:
        await wire.write(spelt("POST", "/", b"abc"))
        await until(lambda: door.requests)
        if end == "raised later":
            ready.set_exception(ZeroDivisionError())
        elif end == "cancelled":
            ready.cancel()
        assert b"" == await wire.rest()
    assert ["head", "gone"] == door.requests[0].heard


async def test_who_asks_before_sending() -> None:
    """Who awaits 100 gets it once the door is ready; HTTP/1.0 does not know it."""
    door = Door()
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    async with served(door) as port, Wire.to(port) as wire:
        head = spelt("POST", "/", b"abc", {"Expect": "100-continue"})[:-3]
        door.ready = lambda: ready
        await wire.write(head)
        await until(lambda: door.requests)
        ready.set_result(None)
        assert 100 == (await wire.answer()).status
        await wire.write(b"abc" + head.replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert 200 == (await wire.answer()).status
        await wire.write(b"abc")
        assert 200 == (await wire.answer()).status


async def test_answers_before_the_end() -> None:
    """Who is answered before it has said everything is answered, and then let go."""
    door = Door()
    async with served(door) as port, Wire.to(port) as wire:
        await wire.write(spelt("POST", "/", b"abc")[:-1])
        await until(lambda: door.requests and door.requests[0].body)
        door.requests[0].answer(b"no", 413)
        assert 413 == (await wire.answer()).status
        assert b"" == await wire.rest()
    assert ["head", "body"] == door.requests[0].heard


@pytest.mark.parametrize("method", ["HEAD", "GET"])
async def test_refused(method: str) -> None:
    """A refusal says that it ends the connection: after HEAD, nothing else would tell a proxy."""
    async with served(Door()) as port, Wire.to(port) as wire:
        await wire.write(f"{method} / HTTP/1.1\r\n\r\n".encode())
        reply = await wire.answer(to_head=method == "HEAD")
        assert (400, "close", "0") == (reply.status, *reply.headers.values())
        assert b"" == await wire.rest()


async def test_who_hears_of_an_end() -> None:
    """Of half a request its delegate hears; of a whole one, the callback that was set for it."""
    called: list[str] = []
    door = Door(lambda request: request.connection.set_close_callback(lambda: called.append("x")))
    async with served(door) as port:
        for data in (spelt("POST", "/", b"abc")[:-1], spelt("POST", "/", b"abc")):
            async with Wire.to(port) as wire:
                await wire.write(data)
                await until(lambda: door.requests and door.requests[-1].body)
            door.requests[-1].body = b""
        await until(lambda: called)
    half, whole = door.requests
    assert ["head", "body", "gone"] == half.heard
    assert (["head", "body", "whole"], ["x"]) == (whole.heard, called)
    with pytest.raises(StreamClosedError):
        await whole.head()


async def test_answers_that_are_not_taken() -> None:
    """The next request waits until the client has taken the answer before, as does its writer."""
    written: list[asyncio.Future[None]] = []

    def play(request: Request) -> None:
        written.append(request.head(chunk=LARGE, Content_Length=str(len(LARGE))))
        request.connection.finish()

    door = Door(play)
    async with served(door) as port, Wire.to(port) as wire:
        await wire.write(spelt("GET", "/") * 2)
        await until(lambda: written)
        assert (1, False) == (len(door.requests), written[0].done())
        for _ in range(2):
            assert LARGE == (await wire.answer()).body
        assert [True, True] == [each.done() for each in written]


async def test_writers_are_let_go() -> None:
    """Who waits for a client to take something waits no longer than the client is there."""
    written: list[asyncio.Future[None]] = []
    door = Door(lambda request: written.append(request.head(chunk=LARGE)))
    async with served(door) as port:
        async with Wire.to(port) as wire:
            await wire.write(spelt("GET", "/"))
            await until(lambda: written)
            assert not written[0].done()
        await written[0]


async def test_room() -> None:
    """A connection that is cut for another one is closed, though it was not yet begun with."""
    async with (
        served(Door(), Bounds(connections_max=1)) as port,
        Wire.to(port) as first,
        Wire.to(port) as second,
    ):
        assert b"" == await first.rest()
        assert 200 == (await second.ask("GET", "/")).status
