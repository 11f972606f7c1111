"""
A request's head: bytes in, what they say out. Pure.

llhttp reads it, and is given one head at a time and nothing behind it: where a request ends is
decided here and in `body`, and never by how far a parser happens to have gone. What llhttp takes
and Tornado does not, or a proxy could read otherwise, is refused before or after. Where the two
still differ, and why that is safe: DECISIONS.md, 2026-11-30.
"""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from httptools import (
    HttpParserError,
    HttpParserInvalidMethodError,
    HttpParserUpgrade,
    HttpRequestParser,
)
from tornado.httputil import HTTPInputError, RequestStartLine

from plivostatusd.web import framing
from plivostatusd.web.transport.fields import Fields

if TYPE_CHECKING:
    from collections.abc import Callable

END: Final = b"\r\n\r\n"
_VERSIONS: Final = {b" HTTP/1.1": "HTTP/1.1", b" HTTP/1.0": "HTTP/1.0"}
_VERSION_BYTES: Final = 9
_METHOD: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ")
_FRAMING: Final = ("transfer-encoding", "content-length")
_DIGITS_MAX: Final = 18
_KNOWN_METHOD: Final = b"POST"


class Head:
    """One request's head: its first line and its fields."""

    __slots__ = ("fields", "has_body", "is_chunked", "is_last", "length", "start_line")

    def __init__(self, start_line: RequestStartLine, fields: Fields) -> None:
        self.start_line = start_line
        self.fields = fields
        coding, length = (fields.combined.get(name) for name in _FRAMING)
        if coding is not None and (length is not None or coding.lower() != "chunked"):
            raise HTTPInputError("Transfer-Encoding beside a length, or not chunked")
        self.is_chunked = coding is not None
        self.has_body = coding is not None or length is not None
        self.length = 0 if length is None else _length(length)
        self.is_last = not self._keeps_alive()

    @property
    def has_to_be_asked(self) -> bool:
        """Whether the client sends the body once it is told to; HTTP/1.0 knows no such thing."""
        is_new = self.start_line.version == "HTTP/1.1"
        return is_new and self.fields.combined.get("expect") == "100-continue"

    def _keeps_alive(self) -> bool:
        said = self.fields.combined.get("connection")
        if self.start_line.version == "HTTP/1.1":
            return said is None or "close" not in _words(said)
        may_be = self.has_body or self.start_line.method in {"GET", "HEAD"}  # as with Tornado
        return may_be and said is not None and said.lower() == "keep-alive"


def _length(text: str) -> int:
    """Read a length; one that no memory could hold is as good as any other such."""
    if not (text.isascii() and text.isdecimal()):
        raise HTTPInputError("Content-Length is no number")
    return int(text) if len(text) <= _DIGITS_MAX else sys.maxsize


def _words(text: str) -> list[str]:
    return [word.strip(" \t") for word in text.lower().split(",")]


class _Reading:
    """What llhttp calls while it reads one head."""

    __slots__ = ("is_whole", "on_header", "target")

    def __init__(self, read: Callable[[bytes, bytes | None], None]) -> None:
        self.on_header = read
        self.target = b""
        self.is_whole = False

    def on_url(self, part: bytes) -> None:
        self.target += part

    def on_headers_complete(self) -> None:
        self.is_whole = True


def read(head: bytes) -> Head:
    """
    Read *head*, which ends with its first empty line.

    Raises `HTTPInputError` where it is none, or one that could be read in two ways.
    """
    if sentence := framing.fault_of_lines(head):
        raise HTTPInputError(sentence)
    line = head[: head.index(b"\r\n", 2)].lstrip(b"\r\n")
    version = _VERSIONS.get(line[-_VERSION_BYTES:])
    match = _METHOD.match(line)
    if version is None or match is None:
        raise HTTPInputError("Malformed HTTP request line")
    fields = Fields()
    target = _parse(head, match[1], fields)
    # llhttp skips blanks before the target and behind it; there is one on either side.
    if len(line) != match.end() + len(target) + _VERSION_BYTES:
        raise HTTPInputError("Malformed HTTP request line")
    if sentence := framing.fault_of_fields(version, fields):
        raise HTTPInputError(sentence)
    method = match[1].decode("ascii")
    return Head(RequestStartLine(method, target.decode("latin-1"), version), fields)


def _parse(head: bytes, method: bytes, fields: Fields) -> bytes:
    """Have llhttp read *head* into *fields*; return the target."""
    try:
        try:
            return _fed(head, fields)
        except HttpParserInvalidMethodError:
            # llhttp knows some methods only; which are served is for the doors to say (405).
            return _fed(head.replace(method, _KNOWN_METHOD, 1), fields)
    except HttpParserError as error:
        raise HTTPInputError(str(error)) from None


def _fed(head: bytes, fields: Fields) -> bytes:
    reading = _Reading(fields.read)
    # What asks for another protocol is read as if it did not: nothing is upgraded here, and
    # nothing behind the head was given away.
    with suppress(HttpParserUpgrade):
        HttpRequestParser(reading).feed_data(head)
    if not reading.is_whole:
        raise HTTPInputError("Malformed HTTP request")
    return reading.target
