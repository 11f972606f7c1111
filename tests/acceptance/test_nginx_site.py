"""
packaging/nginx/plivostatusd.conf, in a real Nginx, before servers that note what reaches them.

What the daemon makes of what gets through is another test's; here it is what gets through at all.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest, ResponseStartLine
from tornado.ioloop import IOLoop

from tests.acceptance.nginx import SERVER_NAME, Nginx

SIGNED = {"X-Plivo-Signature-V3": "c2lnbmVk", "X-Plivo-Signature-V3-Nonce": "12345678"}
NUMBER = "14155552323"


class Upstream:
    """A server in the daemon's place: answers 200 and keeps every request."""

    def __init__(self) -> None:
        self.requests: list[HTTPServerRequest] = []
        self._sock = socket.create_server(("127.0.0.1", 0))
        self._sock.setblocking(False)
        self._server = HTTPServer(self._answer)
        self._server.add_socket(self._sock)
        self.address = f"127.0.0.1:{self._sock.getsockname()[1]}"

    def _answer(self, request: HTTPServerRequest) -> None:
        self.requests.append(request)
        connection = request.connection
        assert connection is not None
        headers = type(request.headers)({"Content-Length": "2"})
        connection.write_headers(ResponseStartLine("HTTP/1.1", 200, "OK"), headers, b"ok")
        connection.finish()

    async def close(self) -> None:
        """Listen no more and drop every connection."""
        self._server.stop()
        await self._server.close_all_connections()


@dataclass
class Front:
    """Nginx, what stands behind it, and a client before it."""

    nginx: Nginx
    upstream: Upstream

    async def ask(self, target: str, **options: object) -> HTTPResponse:
        """Send one request through TLS, as raw as Tornado's client lets us."""
        options = {
            "raise_error": False,
            "follow_redirects": False,
            "decompress_response": False,
            "ssl_options": self.nginx.client_context(),
            "allow_nonstandard_methods": True,
        } | options
        client = AsyncHTTPClient(force_instance=True)
        try:
            return await client.fetch(self.nginx.url + target, **options)  # type: ignore[arg-type]  # options of any kind
        finally:
            client.close()

    async def post(self, target: str, body: str, headers: dict[str, str]) -> HTTPResponse:
        """Post a form."""
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self.ask(target, method="POST", body=body, headers=form | headers)


@pytest.fixture
def upstream(io_loop: IOLoop) -> Iterator[Upstream]:
    """Something in the daemon's place."""
    server = Upstream()
    yield server
    io_loop.run_sync(server.close)


@pytest.fixture
def front(upstream: Upstream, tmp_path: Path) -> Iterator[Front]:
    """Nginx before that."""
    with Nginx(tmp_path / "nginx", upstream.address) as nginx:
        yield Front(nginx, upstream)


def test_the_site_is_accepted(tmp_path: Path) -> None:
    """`nginx -t` has nothing to say against the site, not even a warning."""
    said = Nginx(tmp_path / "nginx", "127.0.0.1:8787").check()
    assert "test is successful" in said
    assert not re.findall(r"\[(warn|error|emerg)\]", said)


def with_comments_taken_in(text: str) -> str:
    """Take in the commented locations, as the site's first lines tell an operator to."""
    taken_in, count = re.subn(r"(?m)^    #(?=\S|    )", "    ", text)
    assert count >= 18
    return taken_in


def test_commented_locations_are_accepted(tmp_path: Path) -> None:
    """The commented locations are right as they stand: without their `#`, `nginx -t` is content."""
    nginx = Nginx(tmp_path / "nginx", "127.0.0.1:8787", change=with_comments_taken_in)
    assert "test is successful" in nginx.check()
    assert "\n    location = /send {" in nginx.site()
    assert "\n    location = /health {" in nginx.site()


async def test_a_callback_goes_on_byte_for_byte(front: Front) -> None:
    """Target, body and signature reach the daemon exactly as they were sent."""
    target = "/plivo/0a1b2c3d4e5f60718293a4b5c6d7e8f9/status?b=%7E+%20x&a=&a=%2f"
    body = "Status=delivered&To=%2b14155552323&Empty=&Sp=a+b%20c"
    reply = await front.post(target, body, SIGNED)
    assert (200, b"ok") == (reply.code, reply.body)
    (request,) = front.upstream.requests
    assert ("POST", target, body.encode()) == (request.method, request.uri, request.body)
    for name, value in SIGNED.items():
        assert value == request.headers[name]


async def test_get_callbacks(front: Front) -> None:
    """A callback by GET goes through too."""
    reply = await front.ask("/plivo/status?Status=sent", headers=SIGNED)
    assert 200 == reply.code
    assert "/plivo/status?Status=sent" == front.upstream.requests[0].uri


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/send",
        "/messages",
        "/messages/1",
        "/metrics",
        "/events",
        "/health",
        "/ready",
        "/plivo",
        "/plivo/../send",
        "/plivo/%2e%2e/metrics",
        "//send",
        "/PLIVO/status",
    ],
)
async def test_nothing_else_is_public(front: Front, target: str) -> None:
    """No path but /plivo/ is reachable from outside, by whatever detour."""
    for headers in ({}, SIGNED):
        reply = await front.ask(target, headers=headers)
        assert 404 == reply.code
    assert [] == front.upstream.requests


async def test_too_large(front: Front) -> None:
    """A body above 64 KiB is refused with 413 before the daemon hears of it; 64 KiB pass."""
    reply = await front.post("/plivo/status", "x" * (64 * 1024 + 1), SIGNED)
    assert 413 == reply.code
    assert [] == front.upstream.requests
    reply = await front.post("/plivo/status", "x" * (64 * 1024), SIGNED)
    assert 200 == reply.code
    assert 64 * 1024 == len(front.upstream.requests[0].body)


async def test_bodies_stay_off_the_disk(front: Front) -> None:
    """No body that is let through is written to a temporary file."""
    temporary = front.nginx.folder / "temp-body"
    shutil.rmtree(temporary)  # a body that is buffered on disk would now be a 500
    reply = await front.post("/plivo/status", "x" * (64 * 1024), SIGNED)
    assert 200 == reply.code


async def test_only_unsigned_requests_are_limited(front: Front) -> None:
    """A burst without a signature is cut at 40 and a few; one with any signature header is not."""
    replies = await asyncio.gather(*(front.post("/plivo/status", "a=b", {}) for _ in range(80)))
    codes = [reply.code for reply in replies]
    assert {200, 429} == set(codes)
    assert 41 <= codes.count(200) < 80
    for name in ("V2", "Ma-V2", "V3", "Ma-V3"):
        header = {f"X-Plivo-Signature-{name}": "c2lnbmVk"}
        for _ in range(20):
            reply = await front.post("/plivo/status", "a=b", header)
            assert 200 == reply.code


async def test_host_and_forwarding_headers_do_not_route(front: Front) -> None:
    """A foreign Host and forged X-Forwarded-* change nothing about where a request goes."""
    forged = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-For": "127.0.0.1",
    }
    reply = await front.post("/plivo/status", "a=b", SIGNED | forged)
    assert 200 == reply.code
    assert 404 == (await front.ask("/metrics", headers=forged)).code
    assert "evil.example" != front.upstream.requests[0].headers["Host"]


async def test_connections_to_the_daemon_are_kept(front: Front) -> None:
    """Callbacks that come one after another share one connection to the daemon."""
    for _ in range(5):
        await front.post("/plivo/status", "a=b", SIGNED)
    connections = {id(request.connection.context) for request in front.upstream.requests}  # type: ignore[union-attr]  # each has one
    assert 1 == len(connections)


async def test_daemon_down(tmp_path: Path) -> None:
    """While the daemon is down the answer is 502, so that Plivo calls again; up again, 200."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        upstream = f"127.0.0.1:{nobody.getsockname()[1]}"
        with Nginx(tmp_path / "nginx", upstream) as nginx:
            front = Front(nginx, upstream=None)  # type: ignore[arg-type]  # nobody is there
            for _ in range(3):
                assert 502 == (await front.post("/plivo/status", "a=b", SIGNED)).code
            nobody.listen()
            nobody.setblocking(False)
            server = HTTPServer(_finish)
            server.add_socket(nobody)
            assert 200 == (await front.post("/plivo/status", "a=b", SIGNED)).code
            server.stop()
            await server.close_all_connections()


def _finish(request: HTTPServerRequest) -> None:
    assert request.connection is not None
    headers = type(request.headers)({"Content-Length": "0"})
    request.connection.write_headers(ResponseStartLine("HTTP/1.1", 200, "OK"), headers)
    request.connection.finish()


class Dying:
    """A daemon that answers once on each connection, and dies under the next request on it."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.address = ""
        self._connections: list[asyncio.Task[None]] = []

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[Self]:
        """Serve on a free port; at the end, wait until every connection is closed."""
        self = cls()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield self
        await asyncio.gather(*self._connections)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.append(asyncio.ensure_future(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):  # Nginx has ended before
            self.bodies.append(await _body(reader))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            self.bodies.append(await _body(reader))
        writer.close()
        await writer.wait_closed()


async def _body(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    assert length is not None
    return await reader.readexactly(int(length[1]))


async def test_a_daemon_that_dies_under_a_callback_gets_it_again(tmp_path: Path) -> None:
    """A callback whose kept connection breaks is sent again, POST or not; Plivo sees a 200."""
    async with Dying.running() as daemon:
        with Nginx(tmp_path / "nginx", daemon.address) as nginx:
            front = Front(nginx, upstream=None)  # type: ignore[arg-type]  # Dying stands there
            for number in range(3):
                reply = await front.post("/plivo/status", f"n={number}", SIGNED)
                assert 200 == reply.code
    assert [b"n=0", b"n=1", b"n=1", b"n=2", b"n=2"] == daemon.bodies


@pytest.mark.parametrize("change", [None, with_comments_taken_in])
async def test_logs_hold_no_query(
    upstream: Upstream, tmp_path: Path, change: Callable[[str], str] | None
) -> None:
    """No log has a query string or a Referer in it, whether a request goes well or not."""
    query = f"?To=%2B{NUMBER}&Text=hello"
    referer = {"Referer": f"https://{SERVER_NAME}/x{query}"}
    with Nginx(tmp_path / "nginx", upstream.address, change=change) as nginx:
        front = Front(nginx, upstream)
        assert 200 == (await front.ask(f"/plivo/status{query}", headers=SIGNED | referer)).code
        assert 404 == (await front.ask(f"/nowhere{query}", headers=referer)).code
        large = {"method": "POST", "body": "x" * 70_000, "headers": SIGNED | referer}
        assert 413 == (await front.ask(f"/plivo/status{query}", **large)).code
        limited = await asyncio.gather(
            *(front.ask(f"/plivo/status{query}", headers=referer) for _ in range(60))
        )
        assert 429 in {reply.code for reply in limited}
        await upstream.close()
        assert 502 == (await front.ask(f"/plivo/status{query}", headers=SIGNED | referer)).code
    everything = "".join(path.read_text() for path in nginx.folder.glob("*.log"))
    for secret in (NUMBER, "hello", "Text=", "?"):
        assert secret not in everything
    assert 64 == len(nginx.access_log.splitlines())
    assert '"/plivo/status" 200 ' in nginx.access_log
    assert "limit=REJECTED" in nginx.access_log
    assert "upstream=502 : 502/" in nginx.access_log


@pytest.mark.parametrize(
    ("protocol", "is_served"), [("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)]
)
def test_tls(tmp_path: Path, protocol: str, is_served: bool) -> None:
    """TLS 1.2 and 1.3 are served; older protocols are not, however low a client's standards."""
    with Nginx(tmp_path / "nginx", "127.0.0.1:8787") as nginx:
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{nginx.port}", protocol]
        command += ["-CAfile", str(nginx.certificate.authority), "-verify_return_error"]
        command += ["-cipher", "ALL:@SECLEVEL=0"]
        done = subprocess.run(command, input=b"", capture_output=True, check=False, timeout=30)
    assert is_served == (done.returncode == 0)


async def test_plain_http(front: Front) -> None:
    """Without TLS there is nothing to be had, not even a redirect."""
    target = front.nginx.url.replace("https:", "http:") + "/plivo/status"
    client = AsyncHTTPClient(force_instance=True)
    reply = await client.fetch(target, headers=SIGNED, raise_error=False, follow_redirects=False)
    client.close()
    assert 400 == reply.code
    assert [] == front.upstream.requests
