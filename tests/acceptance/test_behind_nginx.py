"""The whole way: Plivo, TLS, Nginx with the site as shipped, the daemon, its store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

from tornado.httpclient import AsyncHTTPClient, HTTPResponse

from plivostatusd.simulator import Options, Signed, Simulator, signed_request
from plivostatusd.simulator.options import AUTH_TOKEN
from tests.acceptance.daemon import API_TOKEN, Daemon
from tests.acceptance.nginx import SERVER_NAME, Nginx

PUBLIC = f"https://{SERVER_NAME}"
BURST = 80


class Outside:
    """Nginx before a daemon, and who comes from the internet."""

    def __init__(self, folder: Path) -> None:
        self.daemon = Daemon(folder, "")
        self.daemon.settings["callbacks"]["public_url"] = PUBLIC
        self.nginx = Nginx(folder / "nginx", f"127.0.0.1:{self.daemon.public_port}")
        self.simulator: Simulator
        self._client = AsyncHTTPClient(force_instance=True, max_clients=BURST)

    @classmethod
    @asynccontextmanager
    async def running(cls, folder: Path) -> AsyncIterator[Outside]:
        """Run all of it for the length of a block, and see it end as it should."""
        self = cls(folder)
        with self.nginx:
            where = ("127.0.0.1", self.nginx.port)
            trusted = self.nginx.certificate.authority
            self.simulator = Simulator(Options(port=0, speed=20, connect_to=where, ca_file=trusted))
            self.daemon.settings["plivo"]["api_url"] = await self.simulator.start()
            try:
                await self.daemon.start()
                yield self
                await self.simulator.stop()
                await self.daemon.stop()
                assert "" == self.daemon.stderr
                assert [] == self.daemon.unexpected()
            finally:
                await self.simulator.stop()
                await self.daemon.close()
                self._client.close()

    async def ask(self, method: str, target: str, **options: object) -> HTTPResponse:
        """Send one request through TLS."""
        options = {"raise_error": False, "allow_nonstandard_methods": True} | options
        context = self.nginx.client_context()
        return await self._client.fetch(
            self.nginx.url + target,
            method=method,
            ssl_options=context,
            **options,  # type: ignore[arg-type]  # options of any kind
        )

    async def deliver(self, request: Signed, **more: str) -> HTTPResponse:
        """Carry a callback, with *more* headers than Plivo's."""
        headers = {**request.headers, **more}
        return await self.ask(request.method, request.target, body=request.body, headers=headers)


def forwarded(host: str) -> dict[str, str]:
    """Claim to have come by another name."""
    names = ("Host", "X-Forwarded-Host", "X-Original-Host", "X-Host")
    return {**dict.fromkeys(names, host), "X-Forwarded-Proto": "http", "Forwarded": f"host={host}"}


async def test_a_message_through_tls(tmp_path: Path) -> None:
    """Plivo's callbacks come through TLS and Nginx, and make a message delivered."""
    async with Outside.running(tmp_path) as outside:
        reply = await outside.daemon.send("+14155550001")
        assert 202 == reply.status
        await outside.daemon.until(lambda statuses: "delivered" in statuses.values())
        await outside.simulator.idle()
        (message,) = outside.simulator.messages.values()
        assert message.url.startswith(f"{PUBLIC}/plivo/")
        assert [200, 200, 200] == [each.answer for each in message.deliveries]
        outside.nginx.stop()
        everything = outside.nginx.access_log + outside.nginx.error_log + outside.daemon.log
    for secret in (AUTH_TOKEN, API_TOKEN, "14155550001", "hello"):
        assert secret not in everything
    assert 3 == outside.nginx.access_log.count(" 200 ")


async def test_public_url_alone_judges(tmp_path: Path) -> None:
    """No Host and no X-Forwarded-* header has a say in whether a callback is genuine."""
    async with Outside.running(tmp_path) as outside:
        outside.daemon.allow("callback_refused")
        genuine = outside.daemon.callback("delivered", str(uuid4()))
        assert 200 == (await outside.deliver(genuine, **forwarded("evil.example"))).code
        for host in ("evil.example", f"127.0.0.1:{outside.nginx.port}"):
            fields = {"Status": "failed", "MessageUUID": str(uuid4())}
            url = f"https://{host}/plivo/status"
            elsewhere = signed_request("POST", url, fields, AUTH_TOKEN)
            assert 403 == (await outside.deliver(elsewhere)).code
            assert 403 == (await outside.deliver(elsewhere, **forwarded(host))).code
        assert [("delivered",)] == outside.daemon.rows("SELECT current_status FROM messages")


async def test_nothing_else_is_reachable(tmp_path: Path) -> None:
    """From outside there are callbacks and nothing more, whoever asks and however."""
    async with Outside.running(tmp_path) as outside:
        bearer = {"Authorization": f"Bearer {API_TOKEN}", "Host": "localhost"}
        body = b'{"to":"+14155550001","text":"hello"}'
        targets = ("/send", "/metrics", "/messages", "/events", "/health", "/ready", "/stats")
        for target in (*targets, "/plivo/../send", "/plivo/..%2fsend", "/outbox/hold"):
            for method in ("GET", "POST"):
                sent = {"body": body} if method == "POST" else {}
                assert 404 == (await outside.ask(method, target, headers=bearer, **sent)).code
        assert 404 == (await outside.ask("GET", "/plivo/send", headers=bearer)).code
        assert [(0,)] == outside.daemon.rows("SELECT count(*) FROM messages")
        assert {} == outside.simulator.messages


async def test_too_large(tmp_path: Path) -> None:
    """A body that is too large is 413, by Nginx or by the daemon behind it."""
    async with Outside.running(tmp_path) as outside:
        outside.daemon.allow("callback_refused")
        for size in (16 * 1024 + 1, 64 * 1024, 64 * 1024 + 1, 1024 * 1024):
            signed = outside.daemon.callback("sent", str(uuid4()))
            large = Signed("POST", signed.url, signed.headers, b"x" * size)
            assert 413 == (await outside.deliver(large)).code


async def test_daemon_down(tmp_path: Path) -> None:
    """While the daemon is down Plivo hears 502, and 200 when it calls again after the start."""
    async with Outside.running(tmp_path) as outside:
        request = outside.daemon.callback("delivered", str(uuid4()))
        await outside.daemon.stop()
        assert (await outside.deliver(request)).code in {502, 504}
        await outside.daemon.start()
        assert 200 == (await outside.deliver(request)).code
        assert [("delivered",)] == outside.daemon.rows("SELECT current_status FROM messages")


async def test_daemon_killed_under_kept_connections(tmp_path: Path) -> None:
    """Over a crash and a start, kept connections of Nginx's cost no callback its answer."""
    async with Outside.running(tmp_path) as outside:
        for _ in range(3):
            requests = [outside.daemon.callback("sent", str(uuid4())) for _ in range(5)]
            replies = await asyncio.gather(*map(outside.deliver, requests))
            assert [200] * 5 == [reply.code for reply in replies]
            await outside.daemon.kill()
            await outside.daemon.start()
        assert [(15,)] == outside.daemon.rows("SELECT count(*) FROM events")


async def test_burst(tmp_path: Path) -> None:
    """A burst of callbacks is taken whole; of requests without a signature most are shed."""
    async with Outside.running(tmp_path) as outside:
        outside.daemon.allow("callback_refused")
        requests = [outside.daemon.callback("sent", str(uuid4())) for _ in range(BURST)]
        replies = await asyncio.gather(*map(outside.deliver, requests))
        assert [200] * BURST == [reply.code for reply in replies]
        assert [(BURST,)] == outside.daemon.rows("SELECT count(*) FROM events")
        bare = Signed("POST", f"{PUBLIC}/plivo/status", {}, b"Status=delivered")
        replies = await asyncio.gather(*(outside.deliver(bare) for _ in range(BURST)))
        codes = [reply.code for reply in replies]
        assert {403, 429} == set(codes)
        assert codes.count(429) > BURST / 3
