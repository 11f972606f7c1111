"""
One HTTP/1.1 request out, one status code back.

Tornado's own client is not used because a cancelled fetch leaves its connection and its task
behind until the time-out, so that a simulator could not stop cleanly in the middle of a call.
Redirects are answers like any other: nothing is followed.
"""

from __future__ import annotations

import asyncio
import contextlib
import http
import re
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

from .signer import Signed

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})\b")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,9})[ \t]*\r\n", re.IGNORECASE)
_BODY_BYTES_MAX = 65_536
_TLS_GOODBYE_S = 1.0
_CALLS_MAX = 100


class CallFailed(Exception):
    """No answer came; the text says why."""


class Wire:
    """Makes calls, a connection each, at most a hundred at a time."""

    def __init__(
        self, *, timeout_s: float, ca_file: Path | None, connect_to: tuple[str, int] | None
    ) -> None:
        self._timeout_s = timeout_s
        self._ca_file = ca_file
        self._connect_to = connect_to
        self._tls: ssl.SSLContext | None = None
        self._room = asyncio.Semaphore(_CALLS_MAX)

    async def call(self, request: Signed) -> int:
        """
        Send *request* and return the status code of its answer.

        Raises:
            CallFailed: no connection, no answer in time, or an answer that is not HTTP.
        """
        async with self._room:
            try:
                async with asyncio.timeout(self._timeout_s), self._connection(request.url) as ends:
                    return await _exchange(request, *ends)
            except TimeoutError as exc:
                message = "timed out"
                raise CallFailed(message) from exc
            except OSError as exc:
                raise CallFailed(type(exc).__name__) from exc
            except (EOFError, ValueError, asyncio.LimitOverrunError) as exc:
                message = "no HTTP answer"
                raise CallFailed(message) from exc

    @contextlib.asynccontextmanager
    async def _connection(
        self, url: str
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        parts = urlsplit(url)
        is_tls = parts.scheme == "https"
        named = (parts.hostname or "", parts.port or (443 if is_tls else 80))
        host, port = self._connect_to or named
        tls = self._context() if is_tls else None
        reader, writer = await asyncio.open_connection(
            host,
            port,
            ssl=tls,
            server_hostname=named[0] if tls else None,
            ssl_shutdown_timeout=_TLS_GOODBYE_S if tls else None,
        )
        try:
            yield reader, writer
        except BaseException:
            # No goodbye: who has not answered might not answer that either.
            writer.transport.abort()
            raise
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context(cafile=self._ca_file)
        return self._tls


async def _exchange(
    request: Signed, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> int:
    writer.write(_head(request) + request.body)
    await writer.drain()
    head = await reader.readuntil(b"\r\n\r\n")
    status = _STATUS_LINE.match(head)
    if status is None:
        message = "the answer is not HTTP"
        raise ValueError(message)
    await _read_body(reader, int(status[1]), head)
    return int(status[1])


async def _read_body(reader: asyncio.StreamReader, status: int, head: bytes) -> None:
    """Read what belongs to the answer, so that closing cuts nobody off in the middle of it."""
    length = _LENGTH.search(head)
    if status == http.HTTPStatus.NO_CONTENT:
        return
    if length:
        await reader.readexactly(min(int(length[1]), _BODY_BYTES_MAX))
        return
    left = _BODY_BYTES_MAX
    while left > 0 and (chunk := await reader.read(left)):
        left -= len(chunk)


def _head(request: Signed) -> bytes:
    host = urlsplit(request.url).netloc.rpartition("@")[2]
    headers = {
        "Host": host,
        "User-Agent": "plivostatusd-simulator",
        "Accept": "*/*",
        "Connection": "close",
        **request.headers,
    }
    if request.method != "GET":
        headers["Content-Length"] = str(len(request.body))
    lines = [f"{request.method} {request.target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")
