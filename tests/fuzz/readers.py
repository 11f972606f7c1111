"""
Both readers of HTTP, given the same bytes: Tornado's, as the daemon has it, and ours over llhttp.

Neither has a socket or waits for anything. What a reader says is the requests that it took, each
with all that a door sees of it, and how it ended: `open`, where more may follow, or `ended`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, cast

from tornado.http1connection import HTTP1ConnectionParameters, HTTP1ServerConnection
from tornado.ioloop import IOLoop
from tornado.iostream import StreamClosedError, UnsatisfiableReadError

from plivostatusd.web import framing
from plivostatusd.web.connection import Watched
from plivostatusd.web.connections import Bounds, Connections
from plivostatusd.web.exchange import Exchange, ExchangeServer
from plivostatusd.web.server import HEADER_BYTES_MAX, READ_BYTES
from plivostatusd.web.transport.connection import Connection, Listener

BODY_BYTES_MAX = 2**40


class Taken(NamedTuple):
    """One request, as a door sees it."""

    method: str
    target: str
    fields: tuple[tuple[str, str], ...]
    body: bytes


class Said(NamedTuple):
    """What a reader made of some bytes."""

    taken: list[Taken]
    has_ended: bool


class Door(ExchangeServer):
    """Answers every request at once, and keeps it."""

    def __init__(self) -> None:
        super().__init__(body_bytes_max=BODY_BYTES_MAX)
        self.taken: list[Taken] = []

    def handle(self, exchange: Exchange) -> None:
        """Keep a whole request, and answer it."""
        self.keep(exchange)
        exchange.answer(200, "ok\n")

    def keep(self, exchange: Exchange) -> None:
        """Keep a whole request."""
        target = exchange.path if exchange.query is None else f"{exchange.path}?{exchange.query}"
        fields = tuple(sorted((name.lower(), value) for name, value in exchange.headers.get_all()))
        self.taken.append(Taken(exchange.method, target, fields, exchange.body))


# Ours


class _Transport:
    """Takes whatever is written."""

    is_gone = False

    def write(self, data: bytes) -> None:
        """Take an answer."""

    def get_write_buffer_size(self) -> int:
        """Nothing is left of it."""
        return 0

    def set_write_buffer_limits(self, high: int) -> None:
        """Everything is taken."""

    def pause_reading(self) -> None:
        """Nothing comes by itself."""

    def resume_reading(self) -> None:
        """Nothing comes by itself."""

    def abort(self) -> None:
        """Remember the end."""
        self.is_gone = True


class Ours:
    """Our reader. Made on a running loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._done = self._loop.create_future()
        self._done.set_result(None)
        self._connections = Connections(Bounds(), lambda _: None)
        self._later: list[Callable[[], None]] = []

    def call_soon(self, call: Callable[[], None]) -> None:
        """Take the place of the loop, which is not waited for."""
        self._later.append(call)

    def read(self, parts: Iterable[bytes]) -> Said:
        """Give it *parts*, one after the other."""
        door, transport = Door(), _Transport()
        buffer = memoryview(bytearray(READ_BYTES))
        loop = cast("asyncio.AbstractEventLoop", self)
        shared = Listener(door, self._connections, lambda _: None, loop, buffer, self._done)
        connection = Connection(shared, cast("Any", None))
        connection.connection_made(cast("Any", transport))
        for part in parts:
            for start in range(0, len(part), READ_BYTES):
                piece = part[start : start + READ_BYTES]
                buffer[: len(piece)] = piece
                connection.buffer_updated(len(piece))
                while self._later:
                    self._later.pop(0)()
        has_ended = transport.is_gone
        connection.connection_lost(None)
        return Said(door.taken, has_ended)


# Tornado's


class _Stream:
    """A stream that has come whole; who waits for more than there is hears of its end."""

    def __init__(self, data: bytes) -> None:
        self.io_loop = IOLoop.current()
        self.connections = self
        self.has_ended = False
        self._data = data
        self._head = b""

    def _given(self, data: bytes) -> asyncio.Future[bytes]:
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        future.set_result(data)
        return future

    def _cut(self, size: int) -> asyncio.Future[bytes]:
        part, self._data = self._data[:size], self._data[size:]
        return self._given(part)

    def read_until_regex(self, _: bytes, max_bytes: int) -> asyncio.Future[bytes]:
        """Read a head, as the daemon's own stream does."""
        if self.has_ended:
            raise StreamClosedError
        found = re.search(framing.HEAD, self._data)
        if (found.end() if found else len(self._data)) > max_bytes:
            self.has_ended = True
            raise UnsatisfiableReadError
        if not found:
            raise StreamClosedError
        self._head = self._data[: found.end()]
        return self._cut(found.end())

    def read_until(self, end: bytes, max_bytes: int) -> asyncio.Future[bytes]:
        """Read a line."""
        found = self._data.find(end)
        if (len(self._data) if found < 0 else found + len(end)) > max_bytes:
            self.has_ended = True
            raise UnsatisfiableReadError
        if found < 0:
            raise StreamClosedError
        return self._cut(found + len(end))

    def read_bytes(self, size: int, *, partial: bool = False) -> asyncio.Future[bytes]:
        """Read a part of a body."""
        if len(self._data) < size and not (partial and self._data):
            raise StreamClosedError
        return self._cut(size)

    def write(self, _: bytes) -> asyncio.Future[bytes]:
        """Take an answer."""
        return self._given(b"")

    def closed(self) -> bool:
        """Whether the reader has ended it."""
        return self.has_ended

    def close(self) -> None:
        """End it."""
        self.has_ended = True

    def set_close_callback(self, callback: object) -> None:
        """Nothing comes to its end by itself."""

    def set_nodelay(self, value: object) -> None:
        """There is no delay."""

    def rest(self) -> None:
        """Hear that the next request is awaited."""

    def take_head(self, *, has_body: bool) -> bytes:
        """Give the head that was read, as it came."""
        del has_body
        return self._head

    def body_grew(self, who: object, size: int) -> None:
        """Hear of a body."""

    def request_ended(self, who: object) -> None:
        """Hear of a request."""


async def tornados(data: bytes) -> Said:
    """Give *data* to Tornado's reader, with the checks that the daemon has put before its doors."""
    door, stream = Door(), _Stream(data)
    params = HTTP1ConnectionParameters(
        max_header_size=HEADER_BYTES_MAX, max_body_size=2**63 - 1, chunk_size=READ_BYTES
    )
    connection = HTTP1ServerConnection(cast("Any", stream), params)
    connection.start_serving(Watched(door))
    serving = connection._serving_future
    assert serving is not None
    await asyncio.wait([serving])
    return Said(door.taken, stream.has_ended)
