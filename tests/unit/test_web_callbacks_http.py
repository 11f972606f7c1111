"""The public listener as an HTTP server: limits, connections, and a store that does not answer."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.httputil import HTTPHeaders
from tornado.ioloop import IOLoop

from plivostatusd.web.callbacks import CallbackServer
from plivostatusd.web.connections import Bounds
from plivostatusd.web.exchange import TRICKLE_BYTES_MAX
from plivostatusd.web.server import announced_bytes
from tests.logbook import Logbook
from tests.unit.listeners import Listeners, callback, running, serve, until
from tests.wire import FORM, Wire, ask, spelt

pytestmark = pytest.mark.usefixtures("each_transport")

LIMIT = 16_384
CONTINUE = b"HTTP/1.1 100 (Continue)\r\n\r\n"


@pytest.fixture
def house(io_loop: IOLoop, tmp_path: Path) -> Iterator[Listeners]:
    """Both listeners, over an empty store."""
    with running(io_loop, tmp_path) as listeners:
        yield listeners


@pytest.fixture
def app(house: Listeners) -> CallbackServer:
    """What pytest-tornado serves: the public listener's door, on a server with no limits."""
    return house.callbacks


async def test_tornados_own_client(http_client: AsyncHTTPClient, base_url: str) -> None:
    """An ordinary client gets an ordinary answer, that does not say what serves it."""
    reply = await http_client.fetch(f"{base_url}/health")
    assert (200, b'{"status":"ok"}') == (reply.code, reply.body)
    assert "application/json" == reply.headers["Content-Type"]
    assert "Server" not in reply.headers


@pytest.mark.parametrize(
    "target",
    [
        *("/", "/plivo", "/plivo/", "/plivo/status/", "/plivo//status", "/plivo/a/b/status", "*"),
        *("/send", "/metrics", "/messages", "/plivo/a.b/status", f"/plivo/{'a' * 65}/status"),
        *("//plivo/status", "/plivo/../plivo/status", "/plivo/%2e/status", "/PLIVO/status"),
        "http://localhost/plivo/status",
    ],
)
async def test_no_such_path(house: Listeners, target: str) -> None:
    """Nothing but the two paths and /health is served here, and certainly no /send."""
    reply = await ask(house.public_port, "POST", target, b"")
    assert (404, "not found\n") == (reply.status, reply.text)


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
@pytest.mark.parametrize("path", ["/plivo/status", "/plivo/abc/status"])
async def test_wrong_method(house: Listeners, method: str, path: str) -> None:
    """Another method is 405, and Allow says which ones there are."""
    reply = await ask(house.public_port, method, path)
    assert (405, "GET, POST") == (reply.status, reply.headers["Allow"])


async def test_health(house: Listeners) -> None:
    """/health is 200 by GET and HEAD, 405 otherwise, and commits nothing."""
    commits = house.writer.commits
    assert {"status": "ok"} == (await ask(house.public_port, "GET", "/health?x")).json
    head = await ask(house.public_port, "HEAD", "/health")
    assert (200, "15", b"") == (head.status, head.headers["Content-Length"], head.body)
    refused = await ask(house.public_port, "POST", "/health", b"")
    assert (405, "GET, HEAD") == (refused.status, refused.headers["Allow"])
    assert commits == house.writer.commits


def filled(house: Listeners, size: int) -> bytes:
    """Spell a genuine callback whose body has exactly *size* bytes."""
    nonces = house.nonces()
    bare = callback(house, fields={"Filler": ""}, nonces=nonces)
    fields = {"Filler": "x" * (size - len(bare.body))}
    request = callback(house, fields=fields, nonces=nonces)
    assert size == len(request.body)
    return spelt("POST", request.target, request.body, request.headers)


async def test_body_at_the_limit(house: Listeners) -> None:
    """A body of exactly the limit is taken; one byte more is 413, on a connection that lives."""
    async with Wire.to(house.public_port) as wire:
        for size, status in ((LIMIT, 200), (LIMIT + 1, 413), (LIMIT, 200)):
            await wire.write(filled(house, size))
            assert status == (await wire.answer()).status
    assert 0 == house.callbacks.in_flight.count


@pytest.mark.parametrize("chunk", [100, 16_384, 16_385, 200_000])
async def test_chunked_bodies(house: Listeners, chunk: int) -> None:
    """A body in chunks is held to the same limit, however large the chunks are."""
    head = f"POST /plivo/status HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\n"
    head += "Transfer-Encoding: chunked\r\n\r\n"
    part = b"%x\r\n%b\r\n" % (chunk, b"x" * chunk)
    async with Wire.to(house.public_port) as wire:
        await wire.write(head.encode() + part * (200_000 // chunk) + b"0\r\n\r\n")
        assert 413 == (await wire.answer()).status
        await wire.write(head.encode() + b"3\r\na=b\r\n0\r\n\r\n")
        assert 403 == (await wire.answer()).status


async def test_endless_body(house: Listeners) -> None:
    """Who goes on sending past the limit hears 413 in the end, and is cut off."""
    async with Wire.to(house.public_port) as wire:
        await wire.write(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        await wire.write(b"%x\r\n" % 2**60 + b"x" * (TRICKLE_BYTES_MAX + 1))
        reply = await wire.answer()
        assert (413, "close") == (reply.status, reply.headers["Connection"])
        assert b"" == await wire.rest()
    assert 0 == house.callbacks.in_flight.count


@pytest.mark.parametrize("length", [str(TRICKLE_BYTES_MAX + 1), "9" * 30, "9" * 5_000])
async def test_absurd_length(house: Listeners, length: str) -> None:
    """A length that is far too large is refused before any of it is read: 413 if it is a number."""
    async with Wire.to(house.public_port) as wire:
        await wire.write(spelt("POST", "/plivo/status", headers={"Content-Length": length}))
        # llhttp knows no number beyond 64 bits.
        assert (await wire.answer()).status in ({413} if len(length) < 20 else {400, 413})
        assert b"" == await wire.rest()
    assert 0 == house.callbacks.in_flight.count


@pytest.mark.parametrize("length", ["-1", "ten", "1, 2", "", "²", "0x10"])
async def test_length_that_is_none(house: Listeners, length: str) -> None:
    """A length that is no number is 400, and the connection ends."""
    async with Wire.to(house.public_port) as wire:
        await wire.write(spelt("POST", "/plivo/status", headers={"Content-Length": length}))
        assert 400 == (await wire.answer()).status
    assert 0 == house.callbacks.in_flight.count


def test_announced_bytes() -> None:
    """What cannot be read announces nothing; what is too long for a number is too large."""
    assert 0 == announced_bytes(HTTPHeaders())
    assert 12 == announced_bytes(HTTPHeaders({"Content-Length": "12"}))
    assert 0 == announced_bytes(HTTPHeaders({"Content-Length": "-12"}))
    assert announced_bytes(HTTPHeaders({"Content-Length": "1" * 9_999})) > 2**62


async def test_expect_continue(house: Listeners) -> None:
    """Who asks first is told to go on, or that it is too large before sending any of it."""
    async with Wire.to(house.public_port) as wire:
        request = callback(house)
        whole = spelt("POST", request.target, request.body, request.headers)
        head, _, body = whole.partition(b"\r\n\r\n")
        await wire.write(head + b"\r\nExpect: 100-continue\r\n\r\n")
        assert 100 == (await wire.answer()).status
        await wire.write(body)
        assert 200 == (await wire.answer()).status
    async with Wire.to(house.public_port) as wire:
        too_large = {"Expect": "100-continue", "Content-Length": str(LIMIT + 1)}
        await wire.write(spelt("POST", "/plivo/status", headers=too_large))
        assert 413 == (await wire.answer()).status
        assert b"" == await wire.rest()


async def test_kept_connection(house: Listeners) -> None:
    """One connection carries callback after callback, refusals between them too."""
    async with Wire.to(house.public_port) as wire:
        for index in range(6):
            token = "somebody-elses" if index % 2 else "simulator-token"
            request = callback(house, token=token)
            reply = await wire.ask("POST", request.target, request.body, request.headers)
            assert (403 if index % 2 else 200) == reply.status
            assert "Connection" not in reply.headers


@pytest.fixture(autouse=True)
def _refusals_are_expected(logbook: Logbook) -> None:
    logbook.allow("callback_refused")


async def test_pipelining(house: Listeners) -> None:
    """Requests sent without waiting are answered each, in their order."""
    requests = [callback(house) for _ in range(20)]
    spelt_all = [spelt("POST", each.target, each.body, each.headers) for each in requests]
    spelt_all[10] = spelt("GET", "/nowhere")
    async with Wire.to(house.public_port) as wire:
        await wire.write(b"".join(spelt_all))
        statuses = [(await wire.answer()).status for _ in requests]
    assert [200] * 10 + [404] + [200] * 9 == statuses
    assert [(19,)] == house.rows("SELECT count(*) FROM events")


@pytest.mark.parametrize("keep", ["", "Connection: keep-alive\r\n"])
async def test_http_1_0(house: Listeners, keep: str) -> None:
    """HTTP/1.0 without Host is served; its connection ends unless it asked to keep it."""
    head = f"GET /health HTTP/1.0\r\n{keep}\r\n".encode()
    async with Wire.to(house.public_port) as wire:
        await wire.write(head)
        reply = await wire.answer()
        assert 200 == reply.status
        if keep:
            assert "Keep-Alive" == reply.headers["Connection"]
            await wire.write(head)
            assert 200 == (await wire.answer()).status
        else:
            assert b"" == await wire.rest()


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"]
)
async def test_no_http(house: Listeners, garbage: bytes) -> None:
    """What is no HTTP gets 400 or nothing, and a line of no weight in the log."""
    async with Wire.to(house.public_port) as wire:
        await wire.write(garbage)
        assert (await wire.rest())[:12] in {b"HTTP/1.1 400", b""}


async def test_head_too_large(house: Listeners) -> None:
    """A request head of more than 16 KiB is not read to its end."""
    async with Wire.to(house.public_port) as wire:
        await wire.write(spelt("GET", "/health", headers={"X": "x" * 17_000}))
        assert b"" == await wire.rest()


async def test_slow_peers_are_let_go(house: Listeners) -> None:
    """Who does not finish its head, or its body, in time is cut off, and not counted for ever."""
    bounds = Bounds(head_s_max=0.05, body_s_max=0.05)
    async with AsyncExitStack() as stack:
        port = await serve(stack, house.callbacks, house.metrics, bounds=bounds)
        for part in (b"POST /plivo/st", spelt("POST", "/plivo/status", b"abc")[:-1]):
            async with Wire.to(port) as wire:
                await wire.write(part)
                assert b"" == await wire.rest()
    assert 0 == house.callbacks.in_flight.count


async def test_client_that_leaves(house: Listeners) -> None:
    """A client that is gone before its answer leaves a report that is recorded all the same."""
    request = callback(house)
    changed = asyncio.ensure_future(house.writer.changed())
    async with Wire.to(house.public_port) as wire:
        await wire.write(spelt("POST", request.target, request.body, request.headers))
        await until(lambda: house.ingest.waiting)
    await changed
    assert [(1,)] == house.rows("SELECT count(*) FROM events")
    assert await house.callbacks.in_flight.empty(within_s=5)
    assert 200 == (await house.deliver(request)).status
    assert [(1,)] == house.rows("SELECT count(*) FROM events")


async def test_client_that_leaves_within_its_body(house: Listeners) -> None:
    """Half a request is nothing, and counts as in flight no longer than it lasts."""
    async with Wire.to(house.public_port) as wire:
        await wire.write(spelt("POST", "/plivo/status", b"abc")[:-1])
        await until(lambda: house.callbacks.in_flight.count)
    assert await house.callbacks.in_flight.empty(within_s=5)


@pytest.mark.expect_log("callback_refused.*queue_full")
async def test_full_queue(house: Listeners) -> None:
    """When as many callbacks wait as may, the next one is 503, so that Plivo calls again."""
    house.ingest.queue_max = 2
    with house.locked_store():
        waiting = [asyncio.ensure_future(house.deliver(callback(house))) for _ in range(2)]
        await until(lambda: house.ingest.waiting == 2)
        refused = callback(house)
        reply = await house.deliver(refused)
        assert (503, "try again later\n") == (reply.status, reply.text)
        assert 2 == house.ingest.waiting
    assert [200, 200] == [(await each).status for each in waiting]
    assert 200 == (await house.deliver(refused)).status


@pytest.mark.expect_log("spool_entered")
@pytest.mark.allow_log("batch_failed")
async def test_locked_store(house: Listeners) -> None:
    """While another program holds the store, the spool takes callbacks, and gives them back."""
    requests = [callback(house) for _ in range(3)]
    began_s = time.monotonic()
    with house.locked_store():
        replies = await asyncio.gather(*map(house.deliver, requests))
        assert time.monotonic() - began_s < 2
        assert 3 == house.keep.records
    assert [200, 200, 200] == [reply.status for reply in replies]
    await until(lambda: not house.keep.is_spooling)
    assert [200, 200, 200] == [(await house.deliver(each)).status for each in requests]
    assert [(3,)] == house.rows("SELECT count(*) FROM events")


async def test_no_cycles(house: Listeners) -> None:
    """A callback leaves nothing behind for the garbage collector, whatever its answer."""

    async def exchange(wire: Wire) -> list[int]:
        requests = [callback(house), callback(house, token="somebody-elses")]
        requests += [replace(requests[0], method="PUT"), requests[0]]
        replies = [
            await wire.ask(each.method, each.target, each.body, each.headers) for each in requests
        ]
        return [reply.status for reply in replies]

    async with Wire.to(house.public_port) as wire:
        await exchange(wire)
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                assert [200, 403, 405, 200] == await exchange(wire)
            assert 0 == gc.collect()
        finally:
            gc.enable()
