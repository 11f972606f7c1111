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
from typing import Final

from httptools import (
    HttpParserError,
    HttpParserInvalidMethodError,
    HttpParserUpgrade,
    HttpRequestParser,
)
from tornado.httputil import HTTPInputError, RequestStartLine

from plivostatusd.web import framing
from plivostatusd.web.transport.fields import Fields

END: Final = b"\r\n\r\n"
_PARTS: Final = 3
_VERSIONS: Final = frozenset({"HTTP/1.1", "HTTP/1.0"})
_METHOD: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_DIGITS_MAX: Final = 18
_KNOWN_METHOD: Final = b"POST"


class Head:
    """One request's head: its first line and its fields."""

    __slots__ = ("fields", "has_body", "is_chunked", "is_last", "length", "start_line")

    def __init__(self, start_line: RequestStartLine, fields: Fields) -> None:
        self.start_line = start_line
        self.fields = fields
        version = start_line.version
        coding = fields.combined.get("transfer-encoding")
        length = fields.combined.get("content-length")
        if sentence := framing.fault_of_fields(version, length, coding, hosts=fields.count("host")):
            raise HTTPInputError(sentence)
        if coding is not None and (length is not None or coding.lower() != "chunked"):
            raise HTTPInputError("Transfer-Encoding beside a length, or not chunked")
        self.is_chunked = coding is not None
        self.has_body = coding is not None or length is not None
        self.length = 0 if length is None else _length(length)
        said = fields.combined.get("connection")
        if version == "HTTP/1.1":
            self.is_last = said is not None and "close" in _words(said)
        else:
            may_stay = self.has_body or start_line.method in {"GET", "HEAD"}  # as with Tornado
            self.is_last = not may_stay or said is None or said.lower() != "keep-alive"

    @property
    def has_to_be_asked(self) -> bool:
        """Whether the client sends the body once it is told to; HTTP/1.0 knows no such thing."""
        asks = self.fields.combined.get("expect") == "100-continue"
        return asks and self.start_line.version == "HTTP/1.1"


def _length(text: str) -> int:
    """Read a length; one that no memory could hold is as good as any other such."""
    if not (text.isascii() and text.isdecimal()):
        raise HTTPInputError("Content-Length is no number")
    return int(text) if len(text) <= _DIGITS_MAX else sys.maxsize


def _words(text: str) -> list[str]:
    return [word.strip(" \t") for word in text.lower().split(",")]


class _Reading:
    """What llhttp tells while it reads one head: only that it took it for one."""

    is_whole = False

    def on_headers_complete(self) -> None:
        self.is_whole = True


def read(head: bytes) -> Head:
    """
    Read *head*, which ends with its first empty line.

    Raises `HTTPInputError` where it is none, or one that could be read in two ways.
    """
    if sentence := framing.fault_of_lines(head):
        raise HTTPInputError(sentence)
    lines = head.lstrip(b"\r\n").decode("latin-1").split("\r\n")
    method, target, version = _start_line(lines[0])
    _judge(head, method)
    # llhttp has found a name, a colon and a value in each line, and no line goes on in another. To
    # be told of them would take longer than to part them.
    return Head(RequestStartLine(method, target, version), Fields(lines[1:-2]))


def _start_line(line: str) -> tuple[str, str, str]:
    """Part the first line at its two blanks. llhttp would skip more of them; they are refused."""
    parts = line.split(" ")
    if len(parts) != _PARTS or parts[2] not in _VERSIONS or not _METHOD.fullmatch(parts[0]):
        raise HTTPInputError("Malformed HTTP request line")
    return parts[0], parts[1], parts[2]


def _judge(head: bytes, method: str) -> None:
    """Have llhttp read *head*; raises `HTTPInputError` where it is none."""
    try:
        try:
            is_whole = _is_whole(head)
        except HttpParserInvalidMethodError:
            # llhttp knows some methods only; which are served is for the doors to say (405).
            is_whole = _is_whole(head.replace(method.encode("ascii"), _KNOWN_METHOD, 1))
    except HttpParserError as error:
        raise HTTPInputError(str(error)) from None
    if not is_whole:
        raise HTTPInputError("Malformed HTTP request")


def _is_whole(head: bytes) -> bool:
    reading = _Reading()
    try:
        HttpRequestParser(reading).feed_data(head)
    except HttpParserUpgrade:
        # What asks for another protocol is read as if it did not: nothing is upgraded here, and
        # nothing behind the head was given away.
        return reading.is_whole
    return reading.is_whole
