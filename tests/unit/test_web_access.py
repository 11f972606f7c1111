"""Who may use the local API, and what everybody else hears."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from tornado.httpclient import AsyncHTTPClient
from tornado.ioloop import IOLoop
from tornado.web import Application

from plivostatusd.domain.secret import Secret
from plivostatusd.web import access
from plivostatusd.web import failures as failing
from plivostatusd.web.access import Rules
from plivostatusd.web.api import application
from plivostatusd.web.failures import Failures
from plivostatusd.web.handler import BODY_BYTES_MAX, TRICKLE_BYTES_MAX
from tests.logbook import Logbook
from tests.unit.listeners import HOSTS, Listeners, running, until
from tests.wire import Answer, Wire, ask, spelt

pytestmark = pytest.mark.usefixtures("each_transport")

BILLING, CRON = "billing-token-0123456789", "cron-token-0123456789"
SEND = {"to": "+14155552323", "text": "hello"}


@pytest.fixture
def house(io_loop: IOLoop, tmp_path: Path) -> Iterator[Listeners]:
    """Both listeners, over an empty store."""
    with running(io_loop, tmp_path) as listeners:
        yield listeners


@pytest.fixture
def app(house: Listeners) -> Application:
    """What pytest-tornado serves."""
    return application(house.services)


def assert_problem(reply: Answer, status: int, kind: str) -> None:
    """Check that *reply* is a problem document as RFC 9457 has it."""
    assert (status, "application/problem+json") == (reply.status, reply.headers["Content-Type"])
    document = reply.json
    assert f"urn:plivostatusd:problem:{kind}" == document["type"]
    assert status == document["status"]
    assert document["title"]
    assert document["detail"]
    assert "Server" not in reply.headers
    assert "no-store" == reply.headers["Cache-Control"]
    assert len(reply.headers["X-Request-Id"]) == 16


async def test_tornados_own_client(http_client: AsyncHTTPClient, base_url: str) -> None:
    """An ordinary client gets an ordinary answer, that does not say what serves it."""
    reply = await http_client.fetch(f"{base_url}/health")
    assert (200, b'{"status":"ok"}\n') == (reply.code, reply.body)
    assert "Server" not in reply.headers
    assert "Etag" not in reply.headers


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8788", "[::1]", "[::1]:9"])
async def test_own_hosts(house: Listeners, host: str) -> None:
    """A Host of api.hosts is served, whatever its port and case."""
    assert 200 == (await house.api("GET", "/messages", headers={"Host": host})).status


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "evil.localhost", "127.0.0.2", "localhost:x"]
)
@pytest.mark.parametrize("target", ["/messages", "/send", "/health", "/nowhere"])
async def test_foreign_hosts(house: Listeners, host: str, target: str) -> None:
    """A name that somebody has made point here gets nothing, not even /health or a 404."""
    method = "POST" if target == "/send" else "GET"
    reply = await house.api(method, target, headers={"Host": host, "Content-Length": "0"})
    assert_problem(reply, 403, "host")


async def test_no_host(house: Listeners) -> None:
    """A request without Host is refused: 400 in HTTP/1.1, which has to have one, else 403."""
    for version, status in (("1.1", 400), ("1.0", 403)):
        async with Wire.to(house.api_port) as wire:
            await wire.write(f"GET /messages HTTP/{version}\r\n\r\n".encode())
            assert status == (await wire.answer()).status


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://[evil"},
        {"Origin": "http://localhost:9"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"},
    ],
)
@pytest.mark.parametrize("is_unix", [False, True])
async def test_foreign_origins(house: Listeners, headers: dict[str, str], is_unix: bool) -> None:
    """No page of another site sends an SMS through a browser on this machine."""
    place = house.api_socket if is_unix else house.api_port
    reply = await ask(place, "POST", "/send", SEND, headers)
    assert_problem(reply, 403, "origin")
    assert [] == house.rows("SELECT id FROM messages")


async def test_own_origin(house: Listeners) -> None:
    """A page that this very address has served may ask."""
    own = {"Host": "localhost:8788", "Origin": "http://localhost:8788"}
    own["Sec-Fetch-Site"] = "same-origin"
    assert 200 == (await house.api("GET", "/messages", headers=own)).status


@pytest.fixture
def guarded(house: Listeners) -> Listeners:
    """The listeners with api.token_file set."""
    tokens = {"billing": Secret(BILLING), "cron": Secret(CRON)}
    house.services.rules = Rules(HOSTS, tokens)
    return house


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Bearer {BILLING}x",
        f"Basic {BILLING}",
        BILLING,
        "Bearer \xe9\xff",
    ],
)
async def test_no_or_wrong_token(guarded: Listeners, authorization: str | None) -> None:
    """Without a token of the file, TCP gets 401 and is told which kind of proof is wanted."""
    headers = {} if authorization is None else {"Authorization": authorization}
    reply = await guarded.api("POST", "/send", SEND, headers)
    assert_problem(reply, 401, "token")
    assert "Bearer" == reply.headers["WWW-Authenticate"]
    assert [] == guarded.rows("SELECT id FROM messages")


@pytest.mark.parametrize(("token", "name"), [(BILLING, "billing"), (CRON, "cron")])
async def test_named_tokens(guarded: Listeners, token: str, name: str) -> None:
    """A token's name, and not the token, is kept with the message and shown with it."""
    for scheme in ("Bearer", "bearer"):
        headers = {"Authorization": f"{scheme} {token}"}
        reply = await guarded.api("POST", "/send?wait=0", SEND, headers)
        assert (202, name) == (reply.status, reply.json["sent_by"])
    assert [(name,), (name,)] == guarded.rows("SELECT sent_by FROM messages")


async def test_what_is_not_let_in_is_counted(guarded: Listeners, logbook: Logbook) -> None:
    """Each refusal counts by its reason, and its line in the log has the address."""
    await guarded.api("GET", "/messages")
    await guarded.api("GET", "/messages", headers={"Host": "evil.example"})
    await guarded.api("GET", "/messages", headers={"Origin": "https://evil.example"})
    await guarded.api("POST", "/outbox/hold", b"", {"Authorization": f"Bearer {CRON}"})
    for reason, expected in (("token", 1), ("host", 1), ("origin", 1), ("operator-only", 1)):
        assert expected == refused(guarded, reason)
    lines = logbook.events("request_refused")
    assert ["127.0.0.1"] * 4 == [line["address"] for line in lines]


def refused(house: Listeners, reason: str) -> float | None:
    """Give the count of requests that were not let in, for *reason*."""
    labels = {"reason": reason}
    return house.metrics.registry.get_sample_value("plivostatusd_api_refused_total", labels)


async def test_a_wrong_token_is_answered_late(guarded: Listeners) -> None:
    """A wrong token waits until it may be answered; a right one is answered meanwhile."""
    stopping = guarded.services.stopping
    failures = Failures(CollectorRegistry(), stopping, wait_s=60.0)
    guarded.services.failures = failures
    guess = asyncio.ensure_future(guarded.api("GET", "/messages"))
    await until(lambda: failures.waiting)
    right = {"Authorization": f"Bearer {CRON}"}
    assert 200 == (await guarded.api("GET", "/messages", headers=right)).status
    assert not guess.done()
    stopping.set()
    assert_problem(await guess, 401, "token")
    assert 0 == failures.waiting


async def test_a_flood_of_wrong_tokens(guarded: Listeners, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past so many that wait, a wrong token hears 429 at once; a right one is still let in."""
    monkeypatch.setattr(failing, "WAITING_MAX", 2)
    failures = Failures(CollectorRegistry(), guarded.services.stopping, wait_s=60.0)
    guarded.services.failures = failures
    guesses = [asyncio.ensure_future(guarded.api("GET", "/messages")) for _ in range(2)]
    await until(lambda: failures.waiting == 2)
    reply = await guarded.api("GET", "/messages")
    assert_problem(reply, 429, "too-many-failures")
    assert "60" == reply.headers["Retry-After"]
    right = {"Authorization": f"Bearer {CRON}"}
    assert 200 == (await guarded.api("GET", "/messages", headers=right)).status
    guarded.services.stopping.set()
    assert [401, 401] == [each.status for each in await asyncio.gather(*guesses)]


async def test_what_is_open_to_all(guarded: Listeners) -> None:
    """/health and /ready need no token; /metrics does, as all else."""
    assert 200 == (await guarded.api("GET", "/health")).status
    assert 200 == (await guarded.api("GET", "/ready")).status
    assert_problem(await guarded.api("GET", "/metrics"), 401, "token")
    assert_problem(await guarded.api("GET", "/nowhere"), 401, "token")


async def test_unix_socket_needs_no_token(guarded: Listeners) -> None:
    """The Unix socket is guarded by its group alone; who asked is the kernel's word."""
    reply = await guarded.operator("POST", "/send?wait=0", SEND)
    assert 202 == reply.status
    assert access.user(0).name.startswith("unix:")
    assert reply.json["sent_by"].startswith("unix:")


async def test_both_listeners_are_one(house: Listeners) -> None:
    """What is sent over TCP is seen over the Unix socket, and the other way round."""
    for place in (house.api_port, house.api_socket):
        await ask(place, "POST", "/send?wait=0", SEND)
    for place in (house.api_port, house.api_socket):
        assert 2 == len((await ask(place, "GET", "/messages")).json["messages"])


OPERATORS = ["/outbox/hold", "/outbox/release", "/messages/x/cancel"]


@pytest.mark.parametrize("target", OPERATORS)
async def test_operators_do_not_come_by_tcp(house: Listeners, target: str) -> None:
    """What an operator does by hand is refused over TCP, on loopback too."""
    assert_problem(await house.api("POST", target, b""), 403, "operator-only")
    assert [] == house.rows("SELECT name FROM facts WHERE name = 'held'")


@pytest.mark.parametrize("target", OPERATORS)
async def test_operators_are_few(
    house: Listeners, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the Unix socket it is root and the daemon's own user, not everybody of its group."""
    assert 403 != (await house.operator("POST", target, b"")).status
    real = access.user
    monkeypatch.setattr("os.geteuid", lambda: 4_000_001)
    monkeypatch.setattr(access, "user", lambda _uid: real(4_000_002))
    assert_problem(await house.operator("POST", target, b""), 403, "operator-only")


def test_a_user_without_a_name() -> None:
    """A user that the machine has no name for goes by its number."""
    assert "unix:4000002" == access.user(4_000_002).name


async def test_no_such_path(house: Listeners) -> None:
    """An unknown path is a 404 problem by any method."""
    for method in ("GET", "POST", "DELETE"):
        for target in (
            "/",
            "/sends",
            "/messages/",
            "/messages/a/b",
            "/outbox/burn",
            "/plivo/status",
        ):
            assert_problem(await house.api(method, target, b""), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "target", "allow"),
    [
        ("GET", "/send", "POST"),
        ("DELETE", "/messages", "GET"),
        ("POST", "/messages/abc", "GET"),
        ("GET", "/messages/abc/cancel", "POST"),
        ("POST", "/events", "GET"),
        ("POST", "/health", "GET, HEAD"),
        ("PUT", "/ready", "GET"),
        ("BREW", "/stats", "GET"),
        ("PATCH", "/metrics", "GET"),
    ],
)
async def test_wrong_method(house: Listeners, method: str, target: str, allow: str) -> None:
    """Another method is a 405 problem, and Allow says which ones there are."""
    reply = await house.operator(method, target, b"")
    assert_problem(reply, 405, "method")
    names = reply.headers["Allow"].split(", ")
    assert sorted(allow.split(", ")) == sorted(names)


async def test_head_of_health(house: Listeners) -> None:
    """HEAD of /health is 200 without a body."""
    reply = await house.api("HEAD", "/health")
    assert (200, b"") == (reply.status, reply.body)


async def test_large_bodies(house: Listeners) -> None:
    """More than 1 MiB is a 413 problem; up to 8 MiB on a connection that lives on."""
    async with Wire.to(house.api_port) as wire:
        reply = await wire.ask("POST", "/send", b"x" * (BODY_BYTES_MAX + 1))
        assert_problem(reply, 413, "too-large")
        assert_problem(await wire.ask("POST", "/send", b"x" * BODY_BYTES_MAX), 400, "bad-send")


@pytest.mark.parametrize("length", [str(TRICKLE_BYTES_MAX + 1), "9" * 30, "9" * 5_000])
async def test_absurd_length(house: Listeners, length: str) -> None:
    """A length that is far too large is refused before any of it is read: 413 if it is a number."""
    async with Wire.to(house.api_port) as wire:
        await wire.write(spelt("POST", "/send", headers={"Content-Length": length}))
        reply = await wire.answer()
        if len(length) < 20 or reply.status != 400:  # llhttp knows no number beyond 64 bits
            assert_problem(reply, 413, "too-large")
        assert b"" == await wire.rest()
    await until(lambda: house.services.in_flight.count == 0)


async def test_endless_body(house: Listeners) -> None:
    """Who goes on sending past the limit hears 413 in the end, and is cut off."""
    async with Wire.to(house.api_port) as wire:
        chunked = {"Transfer-Encoding": "chunked"}
        await wire.write(spelt("POST", "/send", headers=chunked))
        await wire.write(b"%x\r\n" % 2**40 + b"x" * (TRICKLE_BYTES_MAX + 1))
        assert_problem(await wire.answer(), 413, "too-large")
        assert b"" == await wire.rest()
    await until(lambda: house.services.in_flight.count == 0)


async def test_expect_continue(house: Listeners) -> None:
    """Who asks first, as curl does, hears 413 before it sends any of a body that is too large."""
    headers = {"Expect": "100-continue", "Content-Length": str(BODY_BYTES_MAX + 1)}
    async with Wire.to(house.api_port) as wire:
        await wire.write(spelt("POST", "/send", headers=headers))
        assert_problem(await wire.answer(), 413, "too-large")


async def test_client_that_leaves(house: Listeners) -> None:
    """A client that is gone, in its body or before its answer, is not counted for ever."""
    for part in (spelt("POST", "/send", b"abc")[:-1], spelt("GET", "/events?wait=60s")):
        async with Wire.to(house.api_port) as wire:
            await wire.write(part)
            await until(lambda: house.services.in_flight.count)
        await until(lambda: not house.services.in_flight.count)


async def test_client_that_leaves_before_its_answer(house: Listeners) -> None:
    """A send whose client went away counts until it is done: the store is not closed under it."""
    with house.locked_store():
        async with Wire.to(house.api_port) as wire:
            await wire.write(spelt("POST", "/send?wait=0", SEND))
            await until(lambda: house.services.in_flight.count)
            await house.api("GET", "/health")  # a round trip, in which the other one settles
        await house.api("GET", "/health")
        assert 1 == house.services.in_flight.count
    assert await house.services.in_flight.empty(within_s=5)
    assert [(1,)] == house.rows("SELECT count(*) FROM messages")


async def test_request_ids(house: Listeners, logbook: Logbook) -> None:
    """Every answer bears an id of its own, and the log names a refused request by it."""
    first, second = [await house.api("GET", "/nowhere") for _ in range(2)]
    logged = [fields["request_id"] for fields in logbook.events("request_refused")]
    assert [reply.headers["X-Request-Id"] for reply in (first, second)] == logged
    assert logged[0] != logged[1]


@pytest.mark.parametrize("query", ["?nosuch=1", "?limit=1&limit=2", "?limit=0", "?limit=-1", "?x"])
async def test_query_that_is_not_understood(house: Listeners, query: str) -> None:
    """A query that would be ignored in silence is refused instead."""
    reply = await house.api("GET", f"/messages{query}")
    assert_problem(reply, 400, "bad-query")
    (problem,) = reply.json["problems"]
    assert {"field", "problem"} == set(problem)


@pytest.mark.expect_log("request_failed")
async def test_a_bug_of_ours(house: Listeners, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug is a 500 problem that says nothing of what happened; the log has the traceback."""

    async def broken(*_: object) -> None:
        raise RuntimeError("the number +14155552323")

    monkeypatch.setattr(house.reader, "messages", broken)
    reply = await house.api("GET", "/messages")
    assert_problem(reply, 500, "http")
    assert "14155552323" not in reply.text
    assert "RuntimeError" not in reply.text


def test_without_tokens_everybody_is_local() -> None:
    """Without api.token_file nobody is asked for a token, and all go by one name."""
    assert "local" == Rules(HOSTS, {}).bearer("Bearer anything").name
