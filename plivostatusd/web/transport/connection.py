"""
One connection: bytes from the event loop's transport in, requests to the door, answers back.

One request at a time: what comes behind it waits here, up to `READ_BYTES`, and then in the kernel.
An answer that the kernel does not take at once holds the next request up, so that nobody has us
make answers that he does not read. `Connections` is told all of it, and cuts.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, cast

from tornado.httputil import HTTPInputError

from plivostatusd.log import get_logger
from plivostatusd.web import framing
from plivostatusd.web.server import HEADER_BYTES_MAX, READ_BYTES
from plivostatusd.web.transport import head as heads
from plivostatusd.web.transport.answer import Answer
from plivostatusd.web.transport.body import Chunked, Fixed

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Awaitable, Callable

    from tornado.httputil import HTTPMessageDelegate, HTTPServerConnectionDelegate

    from plivostatusd.web.connections import Connections

log = get_logger()

_CONTINUE: Final = b"HTTP/1.1 100 (Continue)\r\n\r\n"
_BAD_REQUEST: Final = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


NO_IP: Final = "0.0.0.0"  # noqa: S104 - what Tornado says of a Unix socket's other end


class _Now(Enum):
    """What a connection is at."""

    HEAD = auto()
    BODY = auto()
    HELD = auto()
    """The door is not ready for more."""
    WORK = auto()
    GONE = auto()


_HEAD, _BODY, _HELD, _WORK, _GONE = _Now  # looked up by name, they take five times as long


@dataclass(frozen=True, slots=True)
class Listener:
    """What all connections of a listener share."""

    door: HTTPServerConnectionDelegate
    connections: Connections
    gone: Callable[[Connection], None]
    """Called when one is closed."""
    loop: asyncio.AbstractEventLoop
    buffer: memoryview
    """What is read into it is taken out at once."""
    done: Future[None]
    """What has happened at once: every write that the kernel took."""


class Connection(asyncio.BufferedProtocol):
    """A client's connection, whose place among the server's lasts until it is closed."""

    protocol = "http"
    """Beside `remote_ip`, what Tornado asks a request's context for."""

    def __init__(self, listener: Listener, sock: socket.socket, remote_ip: str = NO_IP) -> None:
        self.remote_ip = remote_ip
        self.socket: socket.socket | None = sock
        """As in Tornado's streams: None once it is closed."""
        self.loop = listener.loop
        self._listener = listener
        self._connections = listener.connections
        self._transport: asyncio.Transport | None = None
        self._now = _HEAD
        self._data = b""
        self._is_paused = False
        self._is_to_continue = False
        self._is_awaited = False
        self._delegate: HTTPMessageDelegate | None = None
        self._answer: Answer | None = None
        self._body: Fixed | Chunked | None = None
        self._flushed: Future[None] | None = None
        self._connections.enter(self)

    # What `Connections` asks

    @property
    def unsent_bytes(self) -> int:
        """How much the kernel has not taken yet."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    @property
    def has_spoken(self) -> bool:
        """Whether the kernel holds something of it that was not read yet."""
        if self.socket is None:
            return False
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except OSError:
            return False

    def cut(self) -> None:
        """Close it at once."""
        self._leave()
        if self._transport is not None:
            self._transport.abort()

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be said to it any more."""
        return self._now is _GONE

    def _leave(self) -> None:
        """Give the place back; the transport's end comes with the next turn of the loop."""
        if self._now is not _GONE:
            self._now = _GONE
            self._data = b""
            self._connections.leave(self)

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to read, unless it was cut meanwhile."""
        self._transport = cast("asyncio.Transport", transport)
        if self._now is _GONE:
            self._transport.abort()
        else:
            self._transport.set_write_buffer_limits(high=0)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever is concerned, and let go of everything."""
        del exc
        self._leave()
        self._listener.gone(self)
        delegate, answer, flushed = self._delegate, self._answer, self._flushed
        is_whole = self._body is None
        self.socket = None
        self._transport = self._delegate = self._answer = self._body = self._flushed = None
        if flushed is not None and not flushed.done():
            flushed.set_result(None)
        if delegate is None or answer is None or answer.is_finished:
            return
        if is_whole:
            answer.connection_lost()
        else:
            delegate.on_connection_close()

    def eof_received(self) -> bool:
        """Cut who has said all that it wanted to say: its answer is not waited for either."""
        self.cut()
        return False

    def get_buffer(self, sizehint: int) -> memoryview:
        """Lend the buffer that all connections share."""
        del sizehint
        return self._listener.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read."""
        if self._now is _GONE:
            return
        data = bytes(self._listener.buffer[:nbytes])
        self._data = self._data + data if self._data else data
        if self._now is _HEAD or self._now is _BODY:
            self._advance()
            if self._now is _HEAD and self._data:
                self._connections.head_began(self)
        else:
            self._look_full()

    def pause_writing(self) -> None:
        """Hear that the kernel takes no more; `send` has looked already."""

    def resume_writing(self) -> None:
        """The kernel has everything that was written."""
        self._connections.answer_left(self)
        flushed, self._flushed = self._flushed, None
        if flushed is not None:
            flushed.set_result(None)
        if self._answer is not None and self._answer.is_finished:
            self._end_request()

    def _look_full(self) -> None:
        """Leave in the kernel what comes while enough is here."""
        is_full = len(self._data) >= READ_BYTES
        if is_full is self._is_paused or self.is_closed or self._transport is None:
            return
        self._is_paused = is_full
        if is_full:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    # A request's way in

    def _advance(self) -> None:
        """Go on with what has come, as far as that goes within one request."""
        try:
            if self._now is _BODY:
                self._look_whole()
            while self._data and self._step():
                pass
            if self._data or self._is_paused:
                self._look_full()
        except HTTPInputError:
            self._refuse()
        except Exception:
            log.exception("request_failed")
            self.cut()

    def _step(self) -> bool:
        """Do one thing more; say whether there may be another to do for the same request."""
        if self._now is _HEAD:
            return self._take_head() and self._answer is not None
        return self._now is _BODY and self._take_body()

    def _take_head(self) -> bool:
        end = self._data.find(heads.END)
        size = len(self._data) + 1 if end < 0 else end + len(heads.END)
        if size > HEADER_BYTES_MAX:
            self.cut()
            return False
        if end < 0:
            if sentence := framing.fault_so_far(self._data):
                raise HTTPInputError(sentence)
            return False
        raw, self._data = self._data[:size], self._data[size:]
        head = heads.read(raw)
        self._begin_request(head)
        return True

    def _begin_request(self, head: heads.Head) -> None:
        # Nobody is waited for who has sent a head and its body in one.
        self._is_awaited = head.has_body and (head.is_chunked or len(self._data) < head.length)
        self._connections.head_ended(self, has_body=self._is_awaited)
        self._answer = Answer(self, head)
        self._body = Chunked() if head.is_chunked else Fixed(head.length)
        self._delegate = self._listener.door.start_request(self, self._answer)
        self._now = _BODY
        self._is_to_continue = head.has_to_be_asked
        self._hold(self._delegate.headers_received(head.start_line, head.fields))
        if self._is_awaited or self._is_to_continue or not self._data:
            self._look_whole()

    @property
    def _is_listening(self) -> bool:
        """Whether the door still wants to hear of the request that comes."""
        answer = self._answer
        return answer is not None and not answer.is_finished and self._now is not _GONE

    def _hold(self, ready: Awaitable[None] | None) -> None:
        """Let the door get ready for more, if it needs to."""
        if ready is None or self._now is not _BODY:
            return
        future = asyncio.ensure_future(ready)
        if future.done():
            future.result()
        else:
            self._now = _HELD
            future.add_done_callback(self._go_on)

    def _go_on(self, ready: Future[None]) -> None:
        error = None if ready.cancelled() else ready.exception()
        if error is not None:
            log.error("request_failed", exc_info=error)
        if ready.cancelled() or error is not None:
            self.cut()
        if self._now is _HELD:
            self._now = _BODY
            self._advance()

    def _take_body(self) -> bool:
        assert self._body is not None
        before = len(self._data)
        part, self._data = self._body.take(self._data)
        if part and self._is_listening:
            assert self._delegate is not None
            if self._is_awaited:
                self._connections.body_grew(self, len(part))
                if self.is_closed:
                    return False
            self._hold(self._delegate.data_received(part))
        self._look_whole()
        return len(self._data) < before and self._answer is not None

    def _look_whole(self) -> None:
        """Hand the request over once all of it is here; ask for the rest if that is awaited."""
        if self._now is not _BODY or not self._is_listening:
            return
        if self._is_to_continue:
            self._is_to_continue = False
            self.send(_CONTINUE)
        assert self._body is not None
        assert self._delegate is not None
        if self._body.is_whole:
            self._now = _WORK
            self._body = None
            if self._is_awaited:
                self._connections.request_ended(self)
            self._delegate.finish()

    def _refuse(self) -> None:
        """Answer what is no request, or one that is ambiguous, and end the connection."""
        if self._transport is not None and not self.is_closed:
            self.send(_BAD_REQUEST)
            self.cut()

    # The answer's way out

    def send(self, data: bytes) -> Future[None]:
        """Write *data*; the future is done once the kernel has it."""
        assert self._transport is not None
        self._transport.write(data)
        if not self._transport.get_write_buffer_size():
            return self._listener.done
        self._connections.answer_stalled(self)
        if self._flushed is None:
            self._flushed = self.loop.create_future()
        return self._flushed

    def answered(self) -> None:
        """Go on to the next request, as soon as the kernel has all of this one's answer."""
        if not self.is_closed and not self.unsent_bytes:
            self._end_request()

    def _end_request(self) -> None:
        answer, self._answer, self._delegate = self._answer, None, None
        assert answer is not None
        is_whole, self._body = self._body is None, None
        if self.is_closed:
            return
        if answer.is_last or not is_whole:
            self.cut()
            return
        self._now = _HEAD
        self._connections.rested(self)
        if self._data:
            self._connections.head_began(self)
            self.loop.call_soon(self._advance)
