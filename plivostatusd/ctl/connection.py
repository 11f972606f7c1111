"""
One question and its answer by HTTP/1.1, on a connection that ends with them.

By hand, because Python's http.client brings a parser of e-mail and all of TLS along, which together
take as long to import as everything else that `show` needs. This is stricter, too: an answer that
is not plain HTTP, or ends before it said that it would, is an error however it is read.

Sources: RFC 9112 (status line: 4; fields: 5; framing: 6; chunks: 7.1), RFC 9110 (1xx: 15.2).
"""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator, Mapping
from typing import Final

from plivostatusd.ctl.address import Address

_HEAD_BYTES_MAX: Final = 65_536
_PIECE_BYTES: Final = 256 * 1024
_INTERIM: Final = range(100, 200)
_WITHOUT_BODY: Final = {204, 304}
_CUT: Final = "the connection was closed"


class Broken(ConnectionError):
    """What came is no answer of HTTP, or not a whole one."""


class Answer:
    """A status, its fields, and a body that is read once: at once, in pieces or in lines."""

    def __init__(self, stream: io.BufferedReader) -> None:
        """Read the head. Raises OSError, of which `Broken` is one."""
        self.status, self._fields = _head(stream)
        while self.status in _INTERIM:
            self.status, self._fields = _head(stream)
        self._pieces = iter(()) if self.status in _WITHOUT_BODY else self._body(stream)

    def field(self, name: str, otherwise: str = "") -> str:
        """Give the value of the field *name*; of several, all of them with commas between."""
        return self._fields.get(name.lower(), otherwise)

    def pieces(self) -> Iterator[bytes]:
        """Give the body as it comes. Raises OSError, when it does not come whole too."""
        return self._pieces

    def read(self) -> bytes:
        """Give the whole body. Raises OSError, as `pieces`."""
        return b"".join(self._pieces)

    def lines(self) -> Iterator[bytes]:
        """Give the body line by line, without their ends. Raises OSError, as `pieces`."""
        begun: list[bytes] = []
        for piece in self._pieces:
            *ended, rest = piece.split(b"\n")
            if ended:
                ended[0] = b"".join([*begun, ended[0]])
                yield from ended
                begun = []
            begun.append(rest)
        if any(begun):
            yield b"".join(begun)

    def _body(self, stream: io.BufferedReader) -> Iterator[bytes]:
        coding, length = self.field("transfer-encoding"), self.field("content-length")
        if coding and (length or coding.lower() != "chunked"):
            raise Broken("its length cannot be told")
        if coding:
            return _chunks(stream)
        return _counted(stream, _number(length, 10)) if length else _to_the_end(stream)


def connect(address: Address, timeout_s: float) -> socket.socket:
    """Connect to *address*. Raises OSError, and UnicodeError where no such host can be."""
    if address.socket:
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connected.settimeout(timeout_s)
            connected.connect(address.socket)
        except OSError:
            connected.close()
            raise
        return connected
    connected = socket.create_connection((address.host, address.port), timeout_s)
    return _secured(connected, address.host) if address.tls else connected


def _secured(connected: socket.socket, host: str) -> socket.socket:
    import ssl  # takes 5 ms, and next to nobody needs it

    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context.wrap_socket(connected, server_hostname=host)


def request(method: str, target: str, fields: Mapping[str, str], body: bytes | None) -> bytes:
    """
    Spell a request.

    Raises:
        ValueError: something of its head is not plain ASCII, and would be another request.
    """
    length = {} if body is None else {"Content-Length": str(len(body))}
    lines = [f"{name}: {value}" for name, value in {**fields, **length}.items()]
    if " " in target or not all(line.isprintable() for line in (method, target, *lines)):
        raise ValueError("a request's head is made of what prints")
    head = "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""])
    return head.encode("ascii") + (body or b"")


def host(address: Address) -> str:
    """Spell the field Host for *address*."""
    if address.socket:
        return "localhost"
    name = f"[{address.host}]" if ":" in address.host else address.host
    return name if address.port == (443 if address.tls else 80) else f"{name}:{address.port}"


def _head(stream: io.BufferedReader) -> tuple[int, dict[str, str]]:
    fields: dict[str, str] = {}
    left = _HEAD_BYTES_MAX
    status = _status(_line(stream, left))
    while line := _line(stream, left):
        left -= len(line) + len(b"\r\n")
        name, colon, value = line.partition(b":")
        if not colon or not name or name.split() != [name]:
            raise Broken("its head is not HTTP")
        key, spelt = name.decode("latin-1").lower(), value.decode("latin-1").strip()
        fields[key] = f"{fields[key]}, {spelt}" if key in fields else spelt
    return status, fields


def _status(line: bytes) -> int:
    version, _, rest = line.partition(b" ")
    code = rest[:3]
    if version not in {b"HTTP/1.1", b"HTTP/1.0"} or not code.isdigit() or rest[3:4].strip():
        raise Broken("it is not HTTP")
    return int(code)


def _line(stream: io.BufferedReader, bytes_max: int) -> bytes:
    """Read one line of a head, without its end."""
    line = stream.readline(bytes_max)
    if not line.endswith(b"\r\n"):
        raise Broken("its head is too long" if len(line) == bytes_max else _CUT)
    return line[:-2]


def _counted(stream: io.BufferedReader, size: int) -> Iterator[bytes]:
    while size:
        piece = stream.read1(min(size, _PIECE_BYTES))
        if not piece:
            raise Broken(_CUT)
        size -= len(piece)
        yield piece


def _chunks(stream: io.BufferedReader) -> Iterator[bytes]:
    while size := _number(_line(stream, _HEAD_BYTES_MAX).partition(b";")[0].decode("latin-1"), 16):
        yield from _counted(stream, size)
        if _line(stream, _HEAD_BYTES_MAX):
            raise Broken("its length cannot be told")
    while _line(stream, _HEAD_BYTES_MAX):
        pass  # trailers


def _to_the_end(stream: io.BufferedReader) -> Iterator[bytes]:
    return iter(lambda: stream.read1(_PIECE_BYTES), b"")


def _number(text: str, base: int) -> int:
    try:
        if text.strip().isalnum() and text.isascii():
            return int(text, base)
    except ValueError:
        pass
    raise Broken("its length cannot be told")
