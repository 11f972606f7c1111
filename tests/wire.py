"""
HTTP/1.1 as it stands on the wire: a client that sends what it is told, right or wrong.

For tests of what a well-behaved client would never let through: half a request, two at once, an
old version. Over TCP to 127.0.0.1, or over a Unix socket.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tornado.httputil import HTTPHeaders, parse_response_start_line

Place = int | Path
"""A port of 127.0.0.1, or the path of a Unix socket."""

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: HTTPHeaders = field(repr=False)
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    @asynccontextmanager
    async def to(cls, place: Place) -> AsyncIterator[Wire]:
        """Connect for the length of a block."""
        if isinstance(place, Path):
            reader, writer = await asyncio.open_unix_connection(place)
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", place)
        wire = cls(reader, writer)
        try:
            yield wire
        finally:
            wire.cut()

    async def write(self, data: bytes) -> None:
        """Send *data* as it is."""
        self._writer.write(data)
        await self._writer.drain()

    def end(self) -> None:
        """Say that nothing more will be sent, and go on reading."""
        self._writer.write_eof()

    def cut(self) -> None:
        """Go away at once, in the middle of whatever there is."""
        self._writer.transport.abort()

    async def ask(
        self,
        method: str,
        target: str,
        body: bytes | Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request and read its answer; a mapping goes as JSON."""
        await self.write(spelt(method, target, body, headers))
        return await self.answer(to_head=method == "HEAD")

    async def answer(self, *, to_head: bool = False) -> Answer:
        """Read one answer."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, _, rest = head.partition("\r\n")
        headers = HTTPHeaders.parse(rest)
        status = parse_response_start_line(first).code
        body = b"" if to_head or status == 100 else await self._body(headers)
        return Answer(status, headers, body)

    async def _body(self, headers: HTTPHeaders) -> bytes:
        if headers.get("Transfer-Encoding") == "chunked":
            return b"".join([chunk async for chunk in self.chunks()])
        if "Content-Length" in headers:
            return await self._reader.readexactly(int(headers["Content-Length"]))
        return await self._reader.read()

    async def head(self) -> Answer:
        """Read the head alone of an answer whose body goes on and on."""
        return await self.answer(to_head=True)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Give the chunks of a body until it ends."""
        while size := int(await self._reader.readline(), 16):
            yield (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readexactly(2)

    async def rest(self) -> bytes:
        """Wait for the other end to close, and give what it said until then."""
        try:
            return await self._reader.read()
        except ConnectionError:
            return b""


def spelt(
    method: str,
    target: str,
    body: bytes | Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Spell one request as it goes on the wire."""
    fields = {"Host": "localhost"}
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        fields["Content-Type"] = "application/json"
    if body is not None:
        fields["Content-Length"] = str(len(body))
    lines = [f"{method} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in {**fields, **(headers or {})}.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


async def ask(
    place: Place,
    method: str,
    target: str,
    body: bytes | Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send one request over a connection of its own."""
    async with Wire.to(place) as wire:
        return await wire.ask(method, target, body, headers)
