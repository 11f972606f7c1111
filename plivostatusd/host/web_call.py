"""
One HTTP request over the network as a stranger would make it: name, connection, TLS, answer.

Follows no redirect and uses no proxy. Says by `CallFailed` how far it came.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

Stage = Literal["resolve", "connect", "tls", "answer"]
_HEAD_BYTES_MAX: Final = 65_536
_PORTS: Final = {"http": 80, "https": 443}


class CallFailed(Exception):
    """No answer came; *stage* is where it ended, *why* what the system said of it."""

    def __init__(self, stage: Stage, why: str) -> None:
        super().__init__(why)
        self.stage = stage
        self.why = why


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What came back: the status, and where a redirect points to.

    *certificate_until_s* is when the server's certificate expires, in Unix time; None without TLS.
    """

    status: int
    location: str = ""
    certificate_until_s: float | None = None


@dataclass(slots=True)
class _Way:
    """How far a call has come."""

    stage: Stage = "resolve"


async def post(url: str, headers: Mapping[str, str], body: bytes, *, within_s: float) -> Answer:
    """
    Post *body* to *url*, certificates checked as this machine trusts them.

    Raises `CallFailed`, after *within_s* at the latest.
    """
    way = _Way()
    try:
        async with asyncio.timeout(within_s):
            return await _post(url, headers, body, way)
    except TimeoutError:
        raise CallFailed(way.stage, "no answer in time") from None
    except ssl.SSLCertVerificationError as error:
        raise CallFailed("tls", error.verify_message) from error
    except ssl.SSLError as error:
        raise CallFailed("tls", error.reason or "TLS failed") from error
    except (OSError, ValueError, asyncio.IncompleteReadError) as error:
        raise CallFailed(way.stage, getattr(error, "strerror", None) or _told(error)) from error


def _told(error: Exception) -> str:
    if isinstance(error, asyncio.IncompleteReadError):
        return "the connection ended without an answer"
    return str(error) or type(error).__name__


async def _post(url: str, headers: Mapping[str, str], body: bytes, way: _Way) -> Answer:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    way.stage = "connect"
    connection = await _connected(loop, found)
    try:
        way.stage = "tls" if parts.scheme == "https" else "answer"
        context = await asyncio.to_thread(_context) if parts.scheme == "https" else None
        reader, writer = await asyncio.open_connection(
            sock=connection, ssl=context, server_hostname=host if context else None
        )
    except BaseException:
        connection.close()
        raise
    way.stage = "answer"
    until_s = _expiry_s(writer)
    try:
        writer.write(_spelt(parts.netloc, parts.path, headers, body))
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as error:
        raise ValueError("the answer's head is too long") from error
    finally:
        writer.close()
        with suppress(OSError, ssl.SSLError):
            await writer.wait_closed()
    return replace(_answer(head), certificate_until_s=until_s)


def _expiry_s(writer: asyncio.StreamWriter) -> float | None:
    certificate = writer.get_extra_info("peercert")
    return ssl.cert_time_to_seconds(certificate["notAfter"]) if certificate else None


async def _connected(
    loop: asyncio.AbstractEventLoop, found: list[tuple[Any, ...]]
) -> socket.socket:
    """Connect to the first address that takes it; if none does, the last one's error counts."""
    last: OSError = OSError("the name has no address")
    for family, kind, protocol, _, address in found:
        connection = socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)
        try:
            await loop.sock_connect(connection, address)
        except OSError as error:
            connection.close()
            last = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise last


def _context() -> ssl.SSLContext:
    """Trust what this machine trusts. Reading all those certificates takes a while."""
    return ssl.create_default_context()


def _spelt(host: str, target: str, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"POST {target or '/'} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"Content-Length: {len(body)}", *(f"{name}: {headers[name]}" for name in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _answer(head: bytes) -> Answer:
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
        raise ValueError("the answer is not HTTP")
    pairs = (line.partition(":") for line in lines)
    told = {name.lower(): value.strip() for name, _, value in pairs}
    return Answer(int(rest[:3]), told.get("location", ""))
