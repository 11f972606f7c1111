"""
A request's body: cut out of what comes, and not a byte more. Pure.

By Tornado's rules to the letter, and not by llhttp: that takes extensions of chunks and fields
behind the last one, which Tornado and we refuse.
"""

from __future__ import annotations

import re
import sys
from typing import Final

from tornado.httputil import HTTPInputError

_SIZE: Final = re.compile(rb"[0-9a-fA-F]+")
_LINE_BYTES_MAX: Final = 64
"""Of the line with a chunk's size, as Tornado grants."""


class Fixed:
    """A body whose length was announced."""

    __slots__ = ("_left",)

    def __init__(self, length: int) -> None:
        self._left = length

    @property
    def is_whole(self) -> bool:
        """Whether all of it has come."""
        return not self._left

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """Cut *data* into what belongs to the body, and what is left."""
        part = data[: self._left]
        self._left -= len(part)
        return part, data[len(part) :]


class Chunked:
    """A body in chunks, each after its size in hexadecimal digits."""

    __slots__ = ("_left", "is_whole")

    def __init__(self) -> None:
        self._left: int | None = None  # of a chunk; None: its size comes next
        self.is_whole = False

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """
        Cut *data* into what belongs to the body, and what is left or cannot be understood yet.

        Raises `HTTPInputError`.
        """
        parts: list[bytes] = []
        at = 0
        while not self.is_whole:
            step = self._size(data, at) if self._left is None else self._chunk(data, at, parts)
            if step == at:
                break
            at = step
        return b"".join(parts), data[at:]

    def _size(self, data: bytes, at: int) -> int:
        end = data.find(b"\r\n", at, at + _LINE_BYTES_MAX)
        if end < 0:
            if len(data) - at >= _LINE_BYTES_MAX:
                raise HTTPInputError("invalid chunk size")
            return at
        if not _SIZE.fullmatch(data, at, end):
            raise HTTPInputError("invalid chunk size")
        size = int(data[at:end], 16)
        if size > sys.maxsize:
            raise HTTPInputError("chunked body too large")
        if size:
            self._left = size
            return end + 2
        return self._end(data, at, end + 2)

    def _end(self, data: bytes, at: int, after: int) -> int:
        last = data[after : after + 2]
        if last == b"\r\n":
            self.is_whole = True
            return after + 2
        if not b"\r\n".startswith(last):
            raise HTTPInputError("improperly terminated chunked request")
        return at

    def _chunk(self, data: bytes, at: int, parts: list[bytes]) -> int:
        assert self._left is not None
        if self._left:
            part = data[at : at + self._left]
            if part:
                parts.append(part)
                self._left -= len(part)
            return at + len(part)
        ending = data[at : at + 2]
        if ending == b"\r\n":
            self._left = None
            return at + 2
        if not b"\r\n".startswith(ending):
            raise HTTPInputError("improperly terminated chunk")
        return at
