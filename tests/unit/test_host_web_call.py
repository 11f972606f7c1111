"""One request over the network: how far it came, and what it is told."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from plivostatusd.host import web_call
from plivostatusd.host.web_call import Answer, CallFailed, post
from tests.acceptance.certificate import Certificate

NAME = "sms.example.com"


@asynccontextmanager
async def server(
    answer: bytes, context: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Serve *answer* to everybody; the port, and what was asked, come back."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked.append(await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(3))
            writer.write(answer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # whoever asked has gone
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as made:
        yield made.sockets[0].getsockname()[1], asked


async def failed(url: str) -> tuple[str, str]:
    """Ask in vain; how far it came and why it ended come back."""
    with pytest.raises(CallFailed) as caught:
        await post(url, {}, b"a=b", within_s=1.0)
    return caught.value.stage, caught.value.why


async def test_an_answer() -> None:
    """The request goes out as given, and the answer's status comes back."""
    async with server(b"HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n") as (port, asked):
        url = f"http://127.0.0.1:{port}/plivo/x/status"
        answer = await post(url, {"X-Probe": "1"}, b"a=b", within_s=5.0)
    assert Answer(302, "http://x/") == answer
    lines = asked[0].decode().split("\r\n")
    assert ["POST /plivo/x/status HTTP/1.1", f"Host: 127.0.0.1:{port}"] == lines[:2]
    assert {"Content-Length: 3", "X-Probe: 1", "a=b"} <= set(lines)


async def test_an_answer_without_end() -> None:
    """A head that never ends is no answer."""
    async with server(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 30_000) as (port, _):
        assert ("answer", "the answer's head is too long") == await failed(
            f"http://127.0.0.1:{port}/"
        )


async def test_a_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate that this machine trusts is trusted, and its end told; another is refused."""
    certificate = Certificate.make(tmp_path, NAME)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.chain, certificate.key)
    async with server(b"HTTP/1.1 200 OK\r\n\r\n", context) as (port, _):
        stage, why = await failed(f"https://127.0.0.1:{port}/")
        assert ("tls", True) == (stage, "certificate" in why)
        monkeypatch.setattr(web_call, "_context", certificate.client_context)
        answer = await post(f"https://127.0.0.1:{port}/", {}, b"a=b", within_s=5.0)
    assert 200 == answer.status
    assert answer.certificate_until_s is not None
    assert -3_600 < answer.certificate_until_s - time.time() - 86_400 <= 0


async def test_no_tls_there() -> None:
    """Plain HTTP where TLS was wanted ends at TLS."""
    async with server(b"HTTP/1.1 200 OK\r\n\r\n") as (port, _):
        assert "tls" == (await failed(f"https://127.0.0.1:{port}/"))[0]
