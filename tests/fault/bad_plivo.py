"""
Plivo at its worst, for a few recipients: what it may do instead of a proper answer.

Acts for the scripted server of tests/unit/test_plivo_server.py. `Plivo` does them to its victims,
and takes every other message as it should, so that both can be told apart.
"""

from __future__ import annotations

import gzip
import json
import socket
import time
import uuid
import zlib
from collections.abc import Mapping, Sequence
from email.utils import formatdate

from tests.unit.test_plivo_server import Act, Greet, ScriptedServer, plain, reply

FLOOD_BYTES = 400 * 1024 * 1024
PIECE = b"\x00" * 262_144
HTML = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
NAME = "7b1d2c52-86b1-4f08-9d0d-0c6a3a0a9a01"
"""The UUID in an acceptance that says what Plivo would say, in a way that Plivo would not."""


class Plivo(ScriptedServer):
    """
    Does to each of *victims* its acts, one a request, the last one over and over.

    `names` holds the UUID that every other recipient was given. One that *closes* has no
    connection serve twice.
    """

    def __init__(
        self,
        victims: Mapping[str, Sequence[Act]] | None = None,
        *,
        greet: Greet = plain,
        port: int = 0,
        closes: bool = False,
    ) -> None:
        self.names: dict[str, str] = {}
        self._closes = closes
        self._victims = {dst: list(acts) for dst, acts in (victims or {}).items()}
        super().__init__(self._answer, greet=greet, port=port)

    def greet_by(self, greet: Greet) -> None:
        """Meet connections otherwise from now on."""
        self._greet = greet

    def posts(self, recipient: str) -> int:
        """Count the sends to one number that arrived whole."""
        return [dst_of(request) for request in self.requests].count(recipient)

    def _answer(self, server: ScriptedServer, sock: socket.socket) -> None:
        if acts := self._victims.get(dst_of(server.last_on(sock))):
            (acts.pop(0) if len(acts) > 1 else acts[0])(server, sock)
        else:
            take(server, sock)
        if self._closes:
            sock.shutdown(socket.SHUT_RDWR)


def dst_of(request: bytes) -> str:
    """Say whom a request is for; a question is for nobody."""
    head, _, body = request.partition(b"\r\n\r\n")
    return f"+{json.loads(body)['dst']}" if head.startswith(b"POST ") else ""


def taken_as(name: str) -> bytes:
    """Spell the body of an acceptance."""
    body = {"api_id": str(uuid.uuid4()), "message": "message(s) queued", "message_uuid": [name]}
    return json.dumps(body).encode()


TAKEN = taken_as(NAME)
HEAD = b"HTTP/1.1 202 Said\r\nContent-Length: %d\r\n\r\n"
WHOLE = HEAD % len(TAKEN) + TAKEN


def take(server: ScriptedServer, sock: socket.socket) -> None:
    """Answer as Plivo should: take a message, or give an empty list."""
    dst = dst_of(server.last_on(sock))
    if not dst:
        answer = {"api_id": "1", "meta": {"limit": 1, "next": None}, "objects": []}
        reply(200, json.dumps(answer).encode())(server, sock)
        return
    name = str(uuid.uuid4())
    if isinstance(server, Plivo):
        server.names[dst] = name
    reply(202, taken_as(name))(server, sock)


def slow_down(retry_after: str | float | None = None) -> Act:
    """Answer 429; a figure is so many seconds from then, spelled as a date."""

    def act(server: ScriptedServer, sock: socket.socket) -> None:
        value = retry_after
        if isinstance(value, float):
            value = formatdate(time.time() + value, usegmt=True)
        headers = {} if value is None else {"Retry_After": value}
        reply(429, b'{"error": "too many requests"}', **headers)(server, sock)

    return act


def then(*acts: Act) -> Act:
    """Do one thing after another in answer to one request."""

    def act(server: ScriptedServer, sock: socket.socket) -> None:
        for each in acts:
            each(server, sock)

    return act


def say(data: bytes) -> Act:
    """Send *data*, and keep the connection."""

    def act(_server: ScriptedServer, sock: socket.socket) -> None:
        sock.sendall(data)

    return act


def pause(seconds: float) -> Act:
    """Wait, unless the server ends."""

    def act(server: ScriptedServer, _sock: socket.socket) -> None:
        server.closing.wait(seconds)

    return act


def pour(head: bytes, piece: bytes = PIECE) -> Act:
    """Send *head*, then *piece* over and over, hundreds of MiB or until nobody takes any more."""

    def act(_server: ScriptedServer, sock: socket.socket) -> None:
        sock.sendall(head)
        for _ in range(FLOOD_BYTES // len(piece)):
            sock.sendall(piece)

    return act


def redirect(status: int, place: ScriptedServer) -> Act:
    """Send the caller to another host."""
    return reply(status, b"", Location=f"{place.url(host='localhost')}/v1/Account/")


def packed(body: bytes) -> Act:
    """Answer 202 in gzip, which nobody asked for."""
    return reply(202, gzip.compress(body), Content_Encoding="gzip")


def bomb(mebibytes: int) -> bytes:
    """Make gzip of so many zeros without holding them."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(mebibytes)), packer.flush()])


def unread(victim: str) -> Greet:
    """Reset a connection on which a request for *victim* has come, without reading any of it."""
    number = victim.removeprefix("+").encode()

    def greet(_server: ScriptedServer, sock: socket.socket) -> socket.socket | None:
        seen = b""
        while b"}" not in seen:
            seen = sock.recv(65_536, socket.MSG_PEEK)
            if not seen:
                return None
        # Closed with bytes in it that nobody has read: the kernel makes that a reset.
        return None if number in seen else sock

    return greet


def chunked(*chunks: bytes, last: bytes = b"0\r\n\r\n") -> bytes:
    """Spell a 202 in chunks."""
    head = b"HTTP/1.1 202 Said\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in chunks) + last
