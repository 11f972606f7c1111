"""
One request and its answer on the public listener, straight on Tornado's connection interfaces.

A callback needs none of what a `RequestHandler` brings (templates, cookies, argument decoding), and
that costs more than verifying and recording it does. What is here is all a callback needs: the raw
bytes in, within limits, and a short text out. Any transport that speaks
`HTTPServerConnectionDelegate` can drive it.
"""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, cast

from tornado.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)

from plivostatusd.web.in_flight import InFlight
from plivostatusd.web.server import announced_bytes
from plivostatusd.web.transport.answer import Answer, Headers, Reply
from plivostatusd.web.transport.fields import Fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tornado.httputil import HTTPConnection

TRICKLE_BYTES_MAX: Final = 1024 * 1024
"""A body over the limit is read up to here, so that its sender hears 413 and not a reset."""
_NO_FIELDS: Final = Fields()


class Exchange(HTTPMessageDelegate):
    """A request being read, then answered once."""

    def __init__(self, server: ExchangeServer, connection: HTTPConnection) -> None:
        self._server = server
        self._connection = connection
        self._chunks: list[bytes] = []
        self._size = 0
        self._is_open = True
        self._is_whole = False
        self.method = ""
        self.path = ""
        self.query: str | None = None
        self.headers: HTTPHeaders = _NO_FIELDS

    @property
    def body(self) -> bytes:
        """The raw body."""
        chunks = self._chunks
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    @property
    def fields(self) -> Mapping[str, str]:
        """The headers, under names in lower case."""
        if isinstance(self.headers, Fields):
            return self.headers.combined
        return {name.lower(): value for name, value in self.headers.items()}

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> None:
        """Take the request line and the headers."""
        self._server.in_flight.enter()
        self.method, target, _ = cast("RequestStartLine", start_line)  # we are a server
        self.path, mark, query = target.partition("?")
        self.query = query if mark else None
        self.headers = headers
        announced = announced_bytes(headers)
        if announced > self._server.body_bytes_max and (
            announced > TRICKLE_BYTES_MAX or "Expect" in headers
        ):
            self._server.too_large(self, announced)

    def data_received(self, chunk: bytes) -> None:
        """Take a part of the body; past the limit it is counted and dropped."""
        self._size += len(chunk)
        if self._size <= self._server.body_bytes_max:
            self._chunks.append(chunk)
            return
        self._chunks.clear()
        if self._size > TRICKLE_BYTES_MAX and self._is_open:
            self._server.too_large(self, self._size)

    def finish(self) -> None:
        """The request is whole: judge it."""
        self._is_whole = True
        if not self._is_open:
            return
        if self._size > self._server.body_bytes_max:
            self._server.too_large(self, self._size)
        else:
            self._server.handle(self)

    def on_connection_close(self) -> None:
        """The client went away before its request was whole."""
        self._close()

    def answer(self, status: int, text: str, headers: Headers = ()) -> None:
        """Answer once; what the client has left by then is dropped."""
        if not self._is_open:
            return
        self._close()
        closes = self._server.is_draining or not self._is_whole
        reply = _reply(status, text, headers, is_bodiless=self.method == "HEAD", closes=closes)
        if isinstance(self._connection, Answer):
            self._connection.whole(reply)
            return
        start_line = ResponseStartLine("HTTP/1.1", status, HTTPStatus(status).phrase)
        self._connection.write_headers(start_line, HTTPHeaders(dict(reply.fields)), reply.body)
        self._connection.finish()

    def _close(self) -> None:
        if self._is_open and self.method:
            self._is_open = False
            self._server.in_flight.leave()


@lru_cache(64)  # there are a dozen
def _reply(status: int, text: str, headers: Headers, *, is_bodiless: bool, closes: bool) -> Reply:
    body = text.encode()
    fields = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body))}
    if closes:
        fields["Connection"] = "close"
    fields.update(headers)
    return Reply(status, tuple(fields.items()), b"" if is_bodiless else body)


class ExchangeServer(HTTPServerConnectionDelegate):
    """Makes an exchange a request, and counts those that are not answered yet."""

    def __init__(self, *, body_bytes_max: int) -> None:
        self.body_bytes_max = body_bytes_max
        self.in_flight = InFlight()
        self.is_draining = False

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        """Begin an exchange, as Tornado asks for one a request."""
        del server_conn
        return Exchange(self, request_conn)

    def on_close(self, server_conn: object) -> None:
        """Hear that a connection is gone; each exchange has heard of it already."""

    def too_large(self, exchange: Exchange, size: int) -> None:
        """Answer a request whose body, of *size* bytes or more, is over the limit."""
        del size
        exchange.answer(413, "body too large\n")

    def handle(self, exchange: Exchange) -> None:
        """Judge a whole request, and see that it is answered."""
        raise NotImplementedError
