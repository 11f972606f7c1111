"""
A scripted stand-in for whatever answers at Plivo's address, on a real socket, and its own tests.

It reads whole requests and then does what its script says, one act a request, the last act over
and over. It knows nothing of the daemon's code; the other tests of plivostatusd.plivo use it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import struct
import subprocess
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path

Act = Callable[["ScriptedServer", socket.socket], None]
Greet = Callable[["ScriptedServer", socket.socket], socket.socket | None]

TAKEN = json.dumps(
    {"api_id": "api-1", "message": "message(s) queued", "message_uuid": ["uuid-1"]}
).encode()
PAUSE_S = 0.05
"""Between two bytes of a dribble."""


def plain(_server: ScriptedServer, sock: socket.socket) -> socket.socket | None:
    """Serve HTTP at once."""
    return sock


def tls(certificate: Path) -> Greet:
    """Serve HTTP under TLS, with the key and certificate in one file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def greet(_server: ScriptedServer, sock: socket.socket) -> socket.socket | None:
        return context.wrap_socket(sock, server_side=True)

    return greet


def proxied(status: int, then: Greet) -> Greet:
    """Be a proxy: answer CONNECT with *status*, and play the server behind it if that is 200."""

    def greet(server: ScriptedServer, sock: socket.socket) -> socket.socket | None:
        server.connects.append(read_request(sock))
        sock.sendall(b"HTTP/1.1 %d Said\r\nContent-Length: 0\r\n\r\n" % status)
        return then(server, sock) if status == 200 else None

    return greet


def reset_after_hello(_server: ScriptedServer, sock: socket.socket) -> socket.socket | None:
    """Read the client's first bytes, then reset the connection."""
    sock.recv(1)
    reset(_server, sock)
    return None


def garbage(_server: ScriptedServer, sock: socket.socket) -> socket.socket | None:
    """Be something else than what was asked for."""
    sock.recv(1)
    sock.sendall(b"220 mail.example.com ESMTP\r\n")
    return None


def mute(_server: ScriptedServer, sock: socket.socket) -> socket.socket | None:
    """Say nothing, until the other end gives up."""
    swallow(_server, sock)
    return None


def reply(status: int, body: bytes = b"", **headers: str) -> Act:
    """Answer, and keep the connection."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    answer = "\r\n".join([*lines, "", ""]).encode() + body

    def act(_server: ScriptedServer, sock: socket.socket) -> None:
        sock.sendall(answer)

    return act


def dribble(start: bytes) -> Act:
    """Send *start* at once, then a byte at a time for ever."""

    def act(server: ScriptedServer, sock: socket.socket) -> None:
        sock.sendall(start)
        while not server.closing.wait(PAUSE_S):
            sock.sendall(b"x")

    return act


def cut(part: bytes) -> Act:
    """Send *part* of an answer and close."""

    def act(_server: ScriptedServer, sock: socket.socket) -> None:
        sock.sendall(part)
        sock.shutdown(socket.SHUT_RDWR)

    return act


def reset(_server: ScriptedServer, sock: socket.socket) -> None:
    """Close with a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def swallow(server: ScriptedServer, sock: socket.socket) -> None:
    """Answer nothing, until the other end gives up."""
    while sock.recv(65_536):
        pass
    server.given_up.set()


class ScriptedServer:
    """Listens on a port of its own; what it saw is in *requests*, *connects* and *connections*."""

    def __init__(self, *acts: Act, greet: Greet = plain, port: int = 0) -> None:
        self.requests: list[bytes] = []
        self.connects: list[bytes] = []
        self.connections = 0
        self.closing = threading.Event()
        self.asked = threading.Event()
        self.given_up = threading.Event()
        self._acts = list(acts)
        self._greet = greet
        self._lock = threading.Lock()
        self._last: dict[socket.socket, bytes] = {}
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def url(self, scheme: str = "http", host: str = "127.0.0.1") -> str:
        """Where it listens."""
        return f"{scheme}://{host}:{self.port}"

    def bodies(self) -> list[dict[str, object]]:
        """The JSON of each request."""
        return [json.loads(request.partition(b"\r\n\r\n")[2]) for request in self.requests]

    def last_on(self, sock: socket.socket) -> bytes:
        """The request that is being answered on one connection."""
        return self._last[sock]

    def close(self) -> None:
        """Cut all connections and end all threads."""
        self.closing.set()
        for sock in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self.connections += 1
                self._sockets.append(sock)
                self._threads.append(threading.Thread(target=self._serve, args=[sock]))
                self._threads[-1].start()

    def _serve(self, raw: socket.socket) -> None:
        sock: socket.socket | None = raw
        with contextlib.suppress(OSError):
            sock = self._greet(self, raw)
            if sock is not None:
                self._sockets.append(sock)
            while sock is not None and (request := read_request(sock)):
                self._next_act(sock, request)(self, sock)
        for each in (raw, sock):
            if each is not None:
                each.close()

    def _next_act(self, sock: socket.socket, request: bytes) -> Act:
        with self._lock:
            self._last[sock] = request
            self.requests.append(request)
            self.asked.set()
            return self._acts.pop(0) if len(self._acts) > 1 else self._acts[0]


def read_request(sock: socket.socket) -> bytes:
    """Read one whole request; empty when the other end closes before its end."""
    received = b""
    while not _is_whole(received):
        received += (more := sock.recv(65_536))
        if not more:
            return b""
    return received


def _is_whole(received: bytes) -> bool:
    head, end, body = received.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return bool(end) and len(body) >= int(length or 0)


def make_certificate(folder: Path, names: str) -> Path:
    """Make a key and a certificate that signs itself."""
    key, made, both = folder / "key.pem", folder / "certificate.pem", folder / "both.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        f" -subj /CN=test -addext subjectAltName={names} -keyout {key} -out {made}"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    both.write_bytes(key.read_bytes() + made.read_bytes())
    return both


async def until(event: threading.Event) -> None:
    """Wait for a server's thread to note something."""
    assert await asyncio.to_thread(event.wait, 5)


def test_it_answers_as_scripted() -> None:
    """The server hands out its acts in order and keeps what it was asked."""
    server = ScriptedServer(reply(202, TAKEN), reply(200, b"{}"))
    try:
        answers = [urllib.request.urlopen(server.url(), b"{}").read() for _ in range(3)]  # noqa: S310 - our own
    finally:
        server.close()
    assert answers == [TAKEN, b"{}", b"{}"]
    assert server.bodies() == [{}, {}, {}]
