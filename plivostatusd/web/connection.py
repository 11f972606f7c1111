"""
One connection on Tornado's terms: a stream that tells `Connections` what happens on it.

Two things are watched, both by Tornado's public interfaces: the bytes, by overriding what
`BaseIOStream` asks its subclasses for, and the requests, by standing between its HTTP server and
the door behind. Another transport would make these calls itself.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from tornado.httputil import (
    HTTPInputError,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
)
from tornado.iostream import IOStream, StreamClosedError

from plivostatusd.web import framing
from plivostatusd.web.server import (
    BUFFER_BYTES_MAX,
    KERNEL_BYTES_MAX,
    READ_BYTES,
    http_server,
)

if TYPE_CHECKING:
    from asyncio import Future

    from tornado.httputil import (
        HTTPConnection,
        HTTPHeaders,
        RequestStartLine,
        ResponseStartLine,
    )

    from plivostatusd.web.connections import Connections

_HEAD_OF_TORNADO: Final = b"\r?\n\r?\n"


class Connection(IOStream):
    """A client's socket, whose place among *connections* lasts as long as its descriptor."""

    def __init__(self, sock: socket.socket, connections: Connections) -> None:
        super().__init__(sock, max_buffer_size=BUFFER_BYTES_MAX, read_chunk_size=READ_BYTES)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES_MAX)
        self.connections = connections
        self.head: Future[bytes] | None = None
        self.unsent_bytes = 0
        self._is_new = True
        self._is_resting = False
        connections.enter(self)

    @property
    def has_spoken(self) -> bool:
        """Whether a head of it is read and not looked at, or bytes that the kernel holds."""
        if self.head is not None and self.head.done():
            return True
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except OSError:
            return False

    def cut(self) -> None:
        """Close it at once."""
        self.close()

    def rest(self) -> None:
        """Await the next request; the first is awaited from the beginning."""
        if self._is_new:
            self._is_new = False
        else:
            self._is_resting = True
            self.connections.rested(self)

    def take_head(self, *, has_body: bool) -> bytes:
        """Give the head that has come, as it came; what is read from here on is no new one's."""
        assert self.head is not None, "Tornado reads heads by read_until_regex"
        head = self.head.result()
        self.head = None
        self._is_resting = False
        self.connections.head_ended(self, has_body=has_body)
        return head

    # What Tornado calls

    def read_until_regex(self, regex: bytes, max_bytes: int | None = None) -> Awaitable[bytes]:
        """
        Read a head, which is all that Tornado reads so, and keep it as it came.

        Its own reading of it shows no line ends, and looks at any number of lines. Raises
        `StreamClosedError` once it is closed: Tornado would serve what it has read behind the
        connection's last request.
        """
        assert regex == _HEAD_OF_TORNADO
        if self.closed():
            raise StreamClosedError
        head = cast("Future[bytes]", super().read_until_regex(framing.HEAD, max_bytes))
        self.head = None if _has_failed(head) else head
        return head

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """Note when a request begins to come."""
        size = super().read_from_fd(buf)
        if size and self._is_resting:
            self._is_resting = False
            self.connections.head_began(self)
        return size

    def write(self, data: bytes | memoryview) -> Future[None]:
        """Note what cannot be handed to the kernel at once."""
        written = super().write(data)
        if not written.done():
            self.unsent_bytes += len(data)
            written.add_done_callback(partial(self._sent, len(data)))
            self.connections.answer_stalled(self)
        return written

    def _sent(self, size: int, _: Future[None]) -> None:
        self.unsent_bytes -= size
        if not self.unsent_bytes:
            self.connections.answer_left(self)

    def close(self, exc_info: Any = False) -> None:  # noqa: FBT002 - Tornado's signature
        """Close, and keep no error, whose traceback leads back here: all would wait for the GC."""
        super().close(exc_info)
        if self.error is not None:
            self.error.__traceback__ = None
        if self.head is not None and _has_failed(self.head):
            self.head = None

    def close_fd(self) -> None:
        """Give the descriptor back, and the place with it."""
        super().close_fd()
        self.connections.leave(self)


def _has_failed(head: Future[bytes]) -> bool:
    return head.done() and head.exception() is not None


class StreamServer:
    """Tornado's own HTTP server in front of *door*, on connections that are given to it."""

    def __init__(self, door: HTTPServerConnectionDelegate, connections: Connections) -> None:
        self._server = http_server(Watched(door))
        self._connections = connections

    def take(self, sock: socket.socket, address: object) -> None:
        """Serve an accepted connection."""
        self._server.handle_stream(Connection(sock, self._connections), address)  # type: ignore[arg-type]  # what accept gave

    async def close(self) -> None:
        """Close every connection; return when all are."""
        await self._server.close_all_connections()


class Watched(HTTPServerConnectionDelegate):
    """A door, with every request on its way to it watched."""

    def __init__(self, door: HTTPServerConnectionDelegate) -> None:
        self._door = door

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        """Await a request, as Tornado asks for one after the other."""
        connection: Connection = request_conn.stream  # type: ignore[attr-defined]  # HTTP1Connection
        connection.rest()
        return _Request(self._door.start_request(server_conn, request_conn), connection)

    def on_close(self, server_conn: object) -> None:
        """Hear that a connection is gone; its stream has told so already."""


class _Request(HTTPMessageDelegate):
    """One request on its way in."""

    def __init__(self, inner: HTTPMessageDelegate, connection: Connection) -> None:
        self._inner = inner
        self._connection = connection
        self._is_known = False

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        """Pass the head on, unless it is ambiguous: Tornado answers 400, and closes."""
        has_body = "Content-Length" in headers or "Transfer-Encoding" in headers
        head = self._connection.take_head(has_body=has_body)
        sentence = framing.fault(head, start_line.version, headers)
        if sentence is not None:
            raise HTTPInputError(sentence)
        self._is_known = True
        return self._inner.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Pass a part of the body on."""
        self._connection.connections.body_grew(self._connection, len(chunk))
        return self._inner.data_received(chunk)

    def finish(self) -> None:
        """Pass on that the request is whole."""
        self._connection.connections.request_ended(self._connection)
        self._inner.finish()

    def on_connection_close(self) -> None:
        """Pass on that the request will not be whole, to whoever knows that it began."""
        if self._is_known:
            self._inner.on_connection_close()
