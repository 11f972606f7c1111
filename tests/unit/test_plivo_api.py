from __future__ import annotations

import asyncio
import errno
import gzip
import json
import logging
import socket
import subprocess
import sys
import threading
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from plivostatusd.plivo.call import SendCall
from plivostatusd.plivo.outcome import (
    Accepted,
    AccountRefused,
    NotSent,
    Outcome,
    Reachable,
    Refused,
    Unknown,
)
from tests.unit import plivo_door
from tests.unit.plivo_door import AUTH_ID, TOKEN, MakeApi, MakeServer, threads
from tests.unit.test_plivo_server import (
    TAKEN,
    Act,
    Greet,
    ScriptedServer,
    cut,
    dribble,
    garbage,
    make_certificate,
    mute,
    plain,
    proxied,
    reply,
    reset,
    reset_after_hello,
    swallow,
    tls,
    until,
)

CALL = SendCall(
    src="+14155551212", dst="+14155552323", text="hello", url="https://sms.example.com/plivo/r"
)
ACCEPTED = Accepted("uuid-1", "api-1")
SHORT_S = 0.3
BASIC = b64encode(f"{AUTH_ID}:{TOKEN}".encode())
"""What an echo of our own Authorization header would hold."""

make_server = plivo_door.make_server
make_api = plivo_door.make_api
_sdk_loaded = plivo_door.sdk_loaded


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a key and a certificate for the loopback addresses, in one file."""
    return make_certificate(tmp_path_factory.mktemp("tls"), "DNS:localhost,IP:127.0.0.1")


def slow_lookups(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Have every DNS lookup hang until the event that comes back is set."""
    answered, real = threading.Event(), socket.getaddrinfo

    def slow(*args: Any, **kwargs: Any) -> Any:
        answered.wait()
        return real(*args, **kwargs)

    monkeypatch.setattr("plivostatusd.plivo.wire.socket.getaddrinfo", slow)
    return answered


async def test_accepted(make_server: MakeServer, make_api: MakeApi) -> None:
    """A send is one POST of one JSON body to Plivo's path, and its answer an acceptance."""
    server = make_server()
    assert await make_api(server).send(CALL) == ACCEPTED
    expected = {
        "src": "14155551212",
        "dst": "14155552323",
        "text": "hello",
        "type": "sms",
        "url": CALL.url,
        "method": "POST",
        "log": "true",
        "trackable": False,
    }
    assert [expected] == server.bodies()
    head = server.requests[0].partition(b"\r\n\r\n")[0].decode()
    assert head.startswith(f"POST /v1/Account/{AUTH_ID}/Message/ HTTP/1.1\r\n")
    assert "Authorization: Basic " in head


async def test_everything_optional_is_sent(make_server: MakeServer, make_api: MakeApi) -> None:
    """Each optional field of a call reaches Plivo under Plivo's name."""
    optional: dict[str, Any] = {
        "powerpack_uuid": "pack",
        "media_urls": ("https://example.com/a.png",),
        "message_expiry": 60,
        "dlt_entity_id": "entity",
        "dlt_template_id": "template",
        "dlt_template_category": "promotional",
    }
    call = SendCall(src=None, dst="14155552323", text=None, url=CALL.url, type="mms", **optional)
    server = make_server()
    assert await make_api(server).send(call) == ACCEPTED
    wanted = json.loads(json.dumps(optional)) | {"type": "mms", "dst": "14155552323"}
    assert wanted == {name: server.bodies()[0][name] for name in wanted}
    assert "src" not in server.bodies()[0]


@pytest.mark.parametrize(
    ("act", "outcome"),
    [
        (reply(400, b'{"error": "no"}'), Refused(400, "no")),
        (reply(404, b"<html>"), Refused(404, "HTTP 404 without an explanation")),
        (reply(422, b'{"error": "no %s"}' % TOKEN.encode()), Refused(422, "no ***")),
        (reply(422, b'{"error": "no Basic %s"}' % BASIC), Refused(422, "no Basic ***")),
        (reply(401, b'{"error": "who"}'), AccountRefused(401, "who")),
        (reply(402, b'{"error": "pay"}'), AccountRefused(402, "pay")),
        (reply(403, b'{"error": "geo"}'), AccountRefused(403, "geo")),
        (reply(429), NotSent("Plivo asks to slow down (429)", None, throttled=True)),
        (
            reply(429, Retry_After="7"),
            NotSent("Plivo asks to slow down (429)", 7.0, throttled=True),
        ),
        (
            reply(429, Retry_After="\x1c30"),
            NotSent("Plivo asks to slow down (429)", None, throttled=True),
        ),
        (reply(500, b'{"error": "oops"}'), Unknown("HTTP 500", 500)),
        (reply(502), Unknown("HTTP 502", 502)),
        (reply(503, Retry_After="7"), Unknown("HTTP 503", 503)),
        (reply(408), Unknown("HTTP 408", 408)),
        (reply(302, Location="/elsewhere/"), Unknown("HTTP 302", 302)),
        (reply(307, Location="/elsewhere/"), Unknown("HTTP 307", 307)),
        (reply(202, b"<html>"), Unknown("an answer that names no message", 202)),
        (reply(202, b"[]"), Unknown("an answer that names no message", 202)),
        (reply(204), Unknown("an answer that names no message", 204)),
        (reply(202, b" " * 1_048_577), Unknown("AnswerTooLargeError", 202)),
        (
            reply(202, gzip.compress(b" " * 50_000_000), Content_Encoding="gzip"),
            Unknown("AnswerTooLargeError", 202),
        ),
        (cut(b"HTTP/1.1 202 Said\r\nContent-Length: 9"), Unknown("IncompleteRead", 202)),
        (
            cut(b"HTTP/1.1 202 Said\r\nContent-Length: 99\r\n\r\n" + TAKEN),
            Unknown("IncompleteRead", 202),
        ),
        (
            cut(b"HTTP/1.1 202 Said\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"),
            Unknown("IncompleteRead", 202),
        ),
        (cut(b"SMTP"), Unknown("BadStatusLine")),
        (cut(b""), Unknown("RemoteDisconnected")),
        (reset, Unknown("ConnectionResetError: Connection reset by peer")),
    ],
)
async def test_outcomes(
    act: Act, outcome: Outcome, make_server: MakeServer, make_api: MakeApi
) -> None:
    """Whatever the server does with a request, it gets one, and the outcome says what is known."""
    server = make_server(act)
    assert await make_api(server).send(CALL) == outcome
    assert len(server.requests) == 1


async def test_what_the_sdk_refuses_is_refused(make_server: MakeServer, make_api: MakeApi) -> None:
    """A call that the SDK itself turns down is a refusal, and nobody is asked."""
    server = make_server()
    call = SendCall(src=CALL.dst, dst=CALL.dst, text="hello", url=CALL.url)
    expected = Refused(400, "destination number cannot be same as source number")
    assert await make_api(server).send(call) == expected
    assert server.connections == 0


@pytest.mark.parametrize(
    ("act", "outcome"),
    [
        (reply(200, b'{"objects": []}'), Reachable()),
        (reply(403, b'{"error": "no"}'), AccountRefused(403, "no")),
        (reply(500), Unknown("HTTP 500", 500)),
        (reply(404, b'{"error": "no"}'), Unknown("HTTP 404", 404)),
    ],
)
async def test_probe(act: Act, outcome: object, make_server: MakeServer, make_api: MakeApi) -> None:
    """The probe asks for a list of one and says whether the account is welcome."""
    server = make_server(act)
    assert await make_api(server).probe() == outcome
    assert server.requests[0].startswith(b"GET /v1/Account/%s/Message/?limit=1 " % AUTH_ID.encode())


async def test_nobody_listens(make_server: MakeServer, make_api: MakeApi) -> None:
    """A refused connection is not sent."""
    server = make_server()
    server.close()
    expected = NotSent("ConnectionRefusedError: Connection refused")
    assert await make_api(server).send(CALL) == expected


@pytest.mark.gen_test(timeout=30)
async def test_no_such_name(make_api: MakeApi) -> None:
    """A name that nobody knows is not sent."""
    outcome = await make_api("https://nothing.invalid", timeout_s=25).send(CALL)
    assert isinstance(outcome, NotSent)
    assert outcome.reason.startswith("gaierror: ")


async def test_full_backlog(make_api: MakeApi) -> None:
    """A server that lets no connection through is not sent, within the time-out."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        crowd = [socket.socket() for _ in range(4)]
        for sock in crowd:
            sock.setblocking(False)
            assert sock.connect_ex(listener.getsockname()) == errno.EINPROGRESS
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        outcome = await make_api(url, timeout_s=SHORT_S).send(CALL)
        for sock in crowd:
            sock.close()
    assert isinstance(outcome, NotSent)


@pytest.mark.parametrize("greet", [mute, garbage, reset_after_hello])
@pytest.mark.parametrize("way", ["direct", "through a proxy"])
async def test_failed_before_the_request(
    greet: Greet, way: str, make_server: MakeServer, make_api: MakeApi
) -> None:
    """Whatever goes wrong up to the end of the TLS handshake, the request is provably not sent."""
    server = make_server(greet=greet if way == "direct" else proxied(200, greet))
    proxy = None if way == "direct" else server.url()
    api = make_api(server.url("https"), timeout_s=SHORT_S, proxy=proxy)
    assert isinstance(await api.send(CALL), NotSent)
    assert server.requests == []
    assert server.connections == 1


async def test_certificates(certificate: Path, make_server: MakeServer, make_api: MakeApi) -> None:
    """TLS needs a certificate that ca_file vouches for, and without ca_file the system's bundle."""
    server = make_server(greet=tls(certificate))
    url = server.url("https")
    assert await make_api(url, ca_file=certificate).send(CALL) == ACCEPTED
    outcome = await make_api(url).send(CALL)
    assert isinstance(outcome, NotSent)
    assert "certificate verify failed: self-signed certificate" in outcome.reason
    assert isinstance(await make_api(url, ca_file=Path("/nowhere")).send(CALL), NotSent)
    assert len(server.requests) == 1


async def test_through_a_proxy(
    certificate: Path, make_server: MakeServer, make_api: MakeApi
) -> None:
    """A proxy is asked to connect, and the request inside the tunnel is what counts as sent."""
    server = make_server(greet=proxied(200, tls(certificate)))
    api = make_api(
        server.url("https"), ca_file=certificate, proxy=server.url(host="u:pw@127.0.0.1")
    )
    assert await api.send(CALL) == ACCEPTED
    assert len(server.requests) == 1
    assert server.connects[0].startswith(b"CONNECT 127.0.0.1:%d HTTP/1." % server.port)
    assert b"Proxy-Authorization" in server.connects[0]
    assert b"Proxy-Authorization" not in server.requests[0]


async def test_a_proxy_that_says_no(make_server: MakeServer, make_api: MakeApi) -> None:
    """A tunnel that the proxy refuses is not sent, and the reason tells so."""
    server = make_server(greet=proxied(407, plain))
    outcome = await make_api("https://nothing.invalid", proxy=server.url()).send(CALL)
    assert outcome == NotSent("OSError: Tunnel connection failed: 407 Said")


def test_only_http_proxies(make_api: MakeApi) -> None:
    """A SOCKS proxy, which would be passed by silently, is refused at once."""
    with pytest.raises(ValueError, match="proxy"):
        make_api("https://nothing.invalid", proxy="socks5://127.0.0.1:1080")


@pytest.mark.parametrize(
    "act",
    [
        swallow,
        dribble(b"HTTP/1.1 202 Said\r\nContent-Length: 9999\r\n\r\n{"),
        dribble(b"HTTP/1.1 202 Said\r\nConnection: close\r\n\r\n{"),
        dribble(b"HTTP/1.1 202 Said\r\nX: "),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_no_whole_answer_in_time(
    act: Act, scheme: str, certificate: Path, make_server: MakeServer, make_api: MakeApi
) -> None:
    """A server that answers nothing, or never ends, is given up at the time-out: unknown."""
    server = make_server(act, greet=tls(certificate) if scheme == "https" else plain)
    api = make_api(server.url(scheme), timeout_s=SHORT_S, ca_file=certificate)
    started_s = asyncio.get_running_loop().time()
    outcome = await api.send(CALL)
    assert asyncio.get_running_loop().time() - started_s < SHORT_S + 1
    assert isinstance(outcome, Unknown)
    assert len(server.requests) == 1


async def test_closing_leaves_a_hanging_lookup_behind(
    make_server: MakeServer, make_api: MakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A DNS lookup that hangs does not hold up closing, and writes nothing when it ends."""
    monkeypatch.setattr("plivostatusd.plivo.api.CLOSE_S_MAX", SHORT_S)
    server, answered = make_server(), slow_lookups(monkeypatch)
    api = make_api(server)
    sending = asyncio.ensure_future(api.send(CALL))
    await asyncio.sleep(0)
    await api.close()
    assert await sending == NotSent("cut off: closing")
    answered.set()
    for thread in threads():
        await asyncio.to_thread(thread.join)
    assert server.connections == 0


async def test_a_lookup_that_hangs(
    make_server: MakeServer, make_api: MakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A DNS lookup that outlives the time-out is not sent, then or when the lookup ends."""
    server, answered = make_server(), slow_lookups(monkeypatch)
    api = make_api(server, timeout_s=2 * SHORT_S, concurrency=1)
    assert await api.send(CALL) == NotSent(f"no whole answer within {2 * SHORT_S:g} s")
    assert await api.send(CALL) == NotSent("every API connection is busy")
    answered.set()
    assert await api.send(CALL) == ACCEPTED
    assert len(server.requests) == 1
    assert server.connections == 1


@pytest.mark.gen_test(timeout=30)
async def test_not_sent_is_never_a_lie(make_server: MakeServer, make_api: MakeApi) -> None:
    """Wherever the time-out strikes, a message that is "not sent" never arrives, not even later."""
    server = make_server()
    calls = [
        SendCall(src="1", dst=f"1415555{number:04}", text="hello", url=CALL.url)
        for number in range(400)
    ]
    apis = [make_api(server, timeout_s=0.0005 * step) for step in range(1, 21)]
    outcomes = [await apis[number % 20].send(call) for number, call in enumerate(calls)]
    for api in apis:
        await api.close()
    server.close()
    arrived = [body["dst"] for body in server.bodies()]
    sent = [
        call.dst
        for call, outcome in zip(calls, outcomes, strict=True)
        if not isinstance(outcome, NotSent)
    ]
    assert set(arrived) <= set(sent)
    assert len(set(arrived)) == len(arrived)


async def test_cancelled_after_writing(make_server: MakeServer, make_api: MakeApi) -> None:
    """A cancelled send is cut at once: the server sees the connection end."""
    server = make_server(swallow)
    sending = asyncio.ensure_future(make_api(server).send(CALL))
    await until(server.asked)
    sending.cancel()
    await until(server.given_up)
    with pytest.raises(asyncio.CancelledError):
        await sending


async def test_closing_settles_what_is_in_flight(
    make_server: MakeServer, make_api: MakeApi
) -> None:
    """Closing cuts a call in flight, which hears so; later calls are not sent."""
    server = make_server(swallow)
    api = make_api(server)
    sending = asyncio.ensure_future(api.send(CALL))
    await until(server.asked)
    await api.close()
    assert await sending == Unknown("cut off: closing")
    assert await api.send(CALL) == NotSent("closed")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("idle_s", "dialled"), [(15.0, 1), (15.1, 2)], ids=["fresh: reused", "stale: left alone"]
)
async def test_idle_connections(
    idle_s: float, dialled: int, make_server: MakeServer, make_api: MakeApi
) -> None:
    """A connection idle for more than 15 s is never used again; a fresher one is."""
    clock, server = [1_000.0], make_server()
    api = make_api(server, concurrency=1, now_s=lambda: clock[0])
    assert await api.send(CALL) == ACCEPTED
    clock[0] += idle_s
    assert await api.send(CALL) == ACCEPTED
    assert len(server.requests) == 2
    assert server.connections == dialled


async def test_a_connection_that_was_closed(make_server: MakeServer, make_api: MakeApi) -> None:
    """A connection that the server has closed meanwhile is replaced before anything is written."""
    server = make_server(reply(202, TAKEN, Connection="close"))
    api = make_api(server)
    assert [await api.send(CALL), await api.send(CALL)] == [ACCEPTED, ACCEPTED]
    assert len(server.requests) == 2


async def test_an_interim_answer(make_server: MakeServer, make_api: MakeApi) -> None:
    """After an interim answer, which another may follow, its connection is not used again."""
    server = make_server(reply(103), reply(202, TAKEN))
    api = make_api(server, concurrency=1)
    assert [await api.send(CALL), await api.send(CALL)] == [Unknown("HTTP 103", 103), ACCEPTED]
    assert (len(server.requests), server.connections) == (2, 2)


async def test_a_head_that_breaks_off(
    make_server: MakeServer, make_api: MakeApi, caplog: pytest.LogCaptureFixture
) -> None:
    """A head that ends in the middle of a name is unknown, and nothing of it is logged."""
    api = make_api(make_server(cut(b"HTTP/1.1 202 Said\r\nCont")))
    with caplog.at_level(logging.DEBUG):
        assert await api.send(CALL) == Unknown("an answer that names no message", 202)
    assert [record for record in caplog.records if record.name != "asyncio"] == []


async def test_many_at_once(make_server: MakeServer, make_api: MakeApi) -> None:
    """Calls at the same time share threads and connections, and each hears its own answer."""

    def echo(server: ScriptedServer, sock: socket.socket) -> None:
        number = json.loads(server.last_on(sock).partition(b"\r\n\r\n")[2])["dst"]
        reply(202, json.dumps({"message_uuid": [number]}).encode())(server, sock)

    server = make_server(echo)
    api = make_api(server, concurrency=4)
    numbers = [f"1415555{number:04}" for number in range(60)]
    calls = [SendCall(src="1", dst=number, text="hello", url=CALL.url) for number in numbers]
    outcomes = await asyncio.gather(*map(api.send, calls))
    assert [Accepted(number, None) for number in numbers] == outcomes
    assert len(server.requests) == 60
    assert server.connections <= 4


async def test_two_doors(make_server: MakeServer, make_api: MakeApi) -> None:
    """Each door goes to its own base URL, whatever path it has, in turn and at once."""
    one, two = make_server(), make_server()
    apis = [make_api(one), make_api(two.url() + "/prefix/")]
    await asyncio.gather(*(api.send(CALL) for api in apis * 3))
    assert [len(one.requests), len(two.requests)] == [3, 3]
    assert two.requests[0].startswith(b"POST /prefix/v1/Account/")


async def test_the_environment_has_no_say(
    make_server: MakeServer, make_api: MakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proxies and CA bundles named in the environment change nothing."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert await make_api(make_server()).send(CALL) == ACCEPTED


async def test_nothing_is_logged(
    make_server: MakeServer, make_api: MakeApi, caplog: pytest.LogCaptureFixture
) -> None:
    """The libraries below say nothing, not even when everything may be said."""
    with caplog.at_level(logging.DEBUG):
        await make_api(make_server(reset)).send(CALL)
        await make_api(make_server(reply(302, Location="/elsewhere"))).send(CALL)
    assert [record for record in caplog.records if record.name != "asyncio"] == []


def test_the_sdk_is_loaded_late() -> None:
    """Importing the door loads neither the SDK nor requests: start-up does not pay for them."""
    program = "import sys, plivostatusd.plivo.api; print({'plivo', 'requests'} & {*sys.modules})"
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert run.stdout == b"set()\n"
