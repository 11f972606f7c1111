"""One request's answer: Tornado's `HTTPConnection`, spelt onto our own connection."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol, cast

from tornado.httputil import HTTPConnection, HTTPHeaders, HTTPOutputError
from tornado.iostream import StreamClosedError

if TYPE_CHECKING:
    import socket
    from asyncio import AbstractEventLoop, Future
    from collections.abc import Callable

    from tornado.httputil import RequestStartLine, ResponseStartLine

    from plivostatusd.web.transport.head import Head


Headers = tuple[tuple[str, str], ...]


class Reply:
    """A whole answer that is given again and again: spelt once a way to end it. It has a length."""

    __slots__ = ("_spelt", "body", "fields", "status")

    def __init__(self, status: int, fields: Headers, body: bytes) -> None:
        self.status = status
        self.fields = fields
        self.body = body
        self._spelt: dict[str, bytes] = {}

    def spelt(self, ending: str) -> bytes:
        """Spell it, with what is said of the connection unless the fields say it; "": nothing."""
        spelt = self._spelt.get(ending)
        if spelt is None:
            headers = HTTPHeaders(dict(self.fields))
            if ending:
                headers.setdefault("Connection", ending)
            spelt = _spell(self.status, HTTPStatus(self.status).phrase, headers) + self.body
            self._spelt[ending] = spelt
        return spelt


class Stream(Protocol):
    """A connection, as far as answers go."""

    socket: socket.socket | None
    loop: AbstractEventLoop

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be said to it any more."""

    def send(self, data: bytes) -> Future[None]:
        """Write *data*; the future is done once the kernel has it."""

    def answered(self) -> None:
        """Go on to the next request."""

    def cut(self) -> None:
        """Close it at once."""


class Answer(HTTPConnection):
    """What a door writes to, once a request. It is `is_finished` when the door has said it all."""

    def __init__(self, connection: Stream, head: Head) -> None:
        self.stream = connection
        """By Tornado's name: where the bytes go, with its `socket`."""
        self.context = connection
        """By Tornado's name: who asks."""
        self.is_finished = False
        self._head = head
        self._closed: Callable[[], None] | None = None
        self._is_chunked = False
        self._left: int | None = None

    @property
    def is_last(self) -> bool:
        """Whether the connection ends with it."""
        return self._head.is_last

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        """Have *callback* called when the client goes away before it is answered."""
        self._closed = callback

    def connection_lost(self) -> None:
        """Tell that the client went away."""
        callback, self._closed = self._closed, None
        if callback is not None:
            callback()

    def write_headers(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: bytes | None = None,
    ) -> Future[None]:
        """Write the head, and the first part of the body."""
        _, code, reason = cast("ResponseStartLine", start_line)  # we are a server
        method, _, version = self._head.start_line
        is_bodiless = method == "HEAD" or code == HTTPStatus.NOT_MODIFIED
        length = headers.get("Content-Length")
        self._left = 0 if is_bodiless else None if length is None else int(length)
        may_have_body = not (is_bodiless or code < HTTPStatus.OK or code == HTTPStatus.NO_CONTENT)
        if may_have_body and length is None:
            if version == "HTTP/1.1":
                self._is_chunked = True
                headers["Transfer-Encoding"] = "chunked"
            else:
                self._head.is_last = True  # nothing else says where the body ends
        if version == "HTTP/1.1" and self._head.is_last:
            headers["Connection"] = "close"
        elif version == "HTTP/1.0" and not self._head.is_last:
            headers.setdefault("Connection", "Keep-Alive")
        return self._send(_spell(code, reason, headers) + self._part(chunk or b""))

    def whole(self, reply: Reply) -> None:
        """Answer all at once: what `write_headers` and `finish` would, for a tenth of the time."""
        ending = ""
        if self._head.is_last:
            ending = "close"
        elif self._head.start_line.version != "HTTP/1.1":
            ending = "Keep-Alive"
        self._send(reply.spelt(ending))
        self.is_finished = True
        self.stream.answered()

    def write(self, chunk: bytes) -> Future[None]:
        """Write a part of the body. The future is done once the kernel has it."""
        return self._send(self._part(chunk))

    def finish(self) -> None:
        """End the answer; raises `HTTPOutputError` when it is shorter than it was to be."""
        if self._left and not self.stream.is_closed:
            self.stream.cut()
            raise HTTPOutputError(f"Tried to write {self._left} bytes less than Content-Length")
        if self._is_chunked:
            self._send(b"0\r\n\r\n")
        self.is_finished = True
        self.stream.answered()

    def _part(self, chunk: bytes) -> bytes:
        if self._left is not None:
            self._left -= len(chunk)
            if self._left < 0:
                self.stream.cut()
                raise HTTPOutputError("Tried to write more data than Content-Length")
        if self._is_chunked and chunk:
            return b"%x\r\n%b\r\n" % (len(chunk), chunk)
        return chunk

    def _send(self, data: bytes) -> Future[None]:
        if not self.stream.is_closed:
            return self.stream.send(data)
        gone: Future[None] = self.stream.loop.create_future()
        gone.set_exception(StreamClosedError())
        gone.exception()
        return gone


def _spell(code: int, reason: str, headers: HTTPHeaders) -> bytes:
    """Spell a head. Raises `ValueError` where a value would begin another line."""
    lines = [f"HTTP/1.1 {code} {reason}"]
    lines += [f"{name}: {value}" for name, value in headers.get_all()]
    text = "\r\n".join(lines)
    if not text.count("\r") == text.count("\n") == len(lines) - 1:
        raise ValueError("Illegal characters (CR or LF) in header")
    return text.encode("latin-1") + b"\r\n\r\n"
