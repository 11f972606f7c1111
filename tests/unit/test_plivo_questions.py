from __future__ import annotations

import asyncio
import gzip
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from plivostatusd.plivo.api import PlivoApi
from plivostatusd.plivo.outcome import (
    Absent,
    AccountRefused,
    Found,
    Listed,
    NotSent,
    Unknown,
)
from plivostatusd.plivo.query import ListQuery, Page
from plivostatusd.plivo.record import MessageRecord, parse
from tests.unit import plivo_door
from tests.unit.plivo_door import AUTH_ID, TOKEN, MakeApi, MakeServer
from tests.unit.test_plivo_server import Act, cut, dribble, reply, reset, swallow, until

make_server = plivo_door.make_server
make_api = plivo_door.make_api
_sdk_loaded = plivo_door.sdk_loaded

UUID = "b48d95dc-e3ac-11eb-a9c2-0242ac110005"
ROW = b'{"message_uuid": "%s", "message_state": "sent"}' % UUID.encode()
NINE_US = 1_795_424_400_000_000  # 2026-11-23T09:00:00Z
HOUR_US = 3_600_000_000
QUERY = ListQuery(since_us=NINE_US, until_us=NINE_US + HOUR_US)
PATH = f"/v1/Account/{AUTH_ID}/Message/"
SHORT_S = 0.3

Ask = Callable[[PlivoApi], Any]
QUESTIONS: list[Any] = [
    pytest.param(lambda api: api.get(UUID), id="get"),
    pytest.param(lambda api: api.list(QUERY), id="list"),
]


def record(raw: bytes) -> MessageRecord:
    """Read what is known to be a record."""
    read = parse(raw)
    assert read is not None
    return read


def listing(following: str | None, *rows: bytes) -> Act:
    """Answer with one page."""
    meta = json.dumps({"limit": 20, "next": following}).encode()
    return reply(200, b'{"meta": %s, "objects": [%s]}' % (meta, b", ".join(rows)))


def asked_for(request: bytes) -> tuple[str, str, dict[str, str]]:
    """Take a request apart: method, path, parameters."""
    method, target, _ = request.partition(b"\r\n")[0].decode().split(" ")
    parts = urlsplit(target)
    found = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    assert all(len(values) == 1 for values in found.values())
    return method, parts.path, {name: values[0] for name, values in found.items()}


async def test_get(make_server: MakeServer, make_api: MakeApi) -> None:
    """A question about a message is one GET of its own path, and its answer the record."""
    server = make_server(reply(200, ROW))
    assert await make_api(server).get(UUID) == Found(record(ROW))
    assert [asked_for(request) for request in server.requests] == [("GET", f"{PATH}{UUID}/", {})]
    assert b"\r\nAuthorization: Basic " in server.requests[0]


@pytest.mark.parametrize("name", ["..", "", "uuid-1", f"{UUID}/../..", f"{UUID}?x=1", "\ud800"])
async def test_what_is_no_uuid_is_not_asked(
    name: str, make_server: MakeServer, make_api: MakeApi
) -> None:
    """A name that Plivo cannot have given is absent, and reaches no URL."""
    server = make_server(reply(200, ROW))
    assert await make_api(server).get(name) == Absent()
    assert server.connections == 0


async def test_list(make_server: MakeServer, make_api: MakeApi) -> None:
    """A list is one GET with every filter spelled as Plivo reads it."""
    server = make_server(listing(None, ROW))
    query = replace(QUERY, sender="+14155551212", recipient="+14155552323", limit=7)
    assert await make_api(server).list(query) == Listed((record(ROW),))
    expected = {
        "message_time__gte": "2026-11-23 09:00:00.000000",
        "message_time__lt": "2026-11-23 10:00:00.000000",
        "from_number": "+14155551212",
        "to_number": "+14155552323",
        "message_direction": "outbound",
        "limit": "7",
    }
    assert [asked_for(request) for request in server.requests] == [("GET", PATH, expected)]
    assert b"to_number=%2B14155552323" in server.requests[0]


@pytest.mark.parametrize(
    ("link", "wanted"),
    [
        (f"{PATH}?limit=20&offset=20", {"offset": "20"}),
        (f"{PATH}?cursor=a%2Bb%3D&limit=20", {"cursor": "a+b="}),
        (f"{PATH}?cursor=abc&offset=0", {"cursor": "abc"}),
        (f"{PATH}?offset=20&limit=99&to_number=1&message_time__gte=", {"offset": "20"}),
        ("https://elsewhere.invalid/other/?offset=20", {"offset": "20"}),
        (
            "?offset=20&is_callinsights_request=1&callinsights_request_path=elsewhere",
            {"offset": "20"},
        ),
    ],
)
async def test_the_next_page(
    link: str, wanted: dict[str, str], make_server: MakeServer, make_api: MakeApi
) -> None:
    """The next page is asked for at the same place with the same filters, wherever Plivo points."""
    server = make_server(listing(link), listing(None))
    api = make_api(server)
    first = await api.list(QUERY)
    assert isinstance(first, Listed)
    assert await api.list(replace(QUERY, page=first.next)) == Listed(())
    pages = [asked_for(request) for request in server.requests]
    assert pages[1] == (*pages[0][:2], pages[0][2] | wanted)


async def test_a_server_that_ignores_pages(make_server: MakeServer, make_api: MakeApi) -> None:
    """A server that gives the first page again and again is noticed at the second."""
    api = make_api(make_server(listing(f"{PATH}?cursor=abc", ROW)))
    assert await api.list(QUERY) == Listed((record(ROW),), Page("cursor", "abc"))
    expected = Unknown("a list that does not say how it goes on", 200)
    assert await api.list(replace(QUERY, page=Page("cursor", "abc"))) == expected


@pytest.mark.parametrize("ask", QUESTIONS)
@pytest.mark.parametrize(
    ("act", "outcome"),
    [
        (reply(401, b'{"api_id": "a", "error": "who"}'), AccountRefused(401, "who")),
        (reply(401), AccountRefused(401, "HTTP 401 without an explanation")),
        (reply(402, b'{"error": "pay %s"}' % TOKEN.encode()), AccountRefused(402, "pay ***")),
        (reply(403, b'{"error": "no"}'), AccountRefused(403, "no")),
        (reply(429), NotSent("Plivo asks to slow down (429)", None, throttled=True)),
        (
            reply(429, b"too many requests", Retry_After="7"),
            NotSent("Plivo asks to slow down (429)", 7.0, throttled=True),
        ),
        (reply(400, b'{"error": "bad"}'), Unknown("HTTP 400", 400)),
        (reply(404, b"<html>"), Unknown("HTTP 404", 404)),
        (reply(500, b'{"error": "oops"}'), Unknown("HTTP 500", 500)),
        (reply(503, Retry_After="7"), Unknown("HTTP 503", 503)),
        (reply(202, ROW), Unknown("HTTP 202", 202)),
        (reply(204), Unknown("HTTP 204", 204)),
        (reply(301, Location=PATH), Unknown("HTTP 301", 301)),
        (reply(302, Location=PATH), Unknown("HTTP 302", 302)),
        (reply(308, Location=PATH), Unknown("HTTP 308", 308)),
        (reply(200, b" " * 1_048_577), Unknown("AnswerTooLargeError", 200)),
        (
            reply(200, gzip.compress(b" " * 50_000_000), Content_Encoding="gzip"),
            Unknown("AnswerTooLargeError", 200),
        ),
        (
            cut(b"HTTP/1.1 200 Said\r\nContent-Length: 99\r\n\r\n" + ROW),
            Unknown("IncompleteRead", 200),
        ),
        (cut(b"SMTP"), Unknown("BadStatusLine")),
        (cut(b""), Unknown("RemoteDisconnected")),
        (reset, Unknown("ConnectionResetError: Connection reset by peer")),
    ],
)
async def test_outcomes(
    act: Act, outcome: object, ask: Ask, make_server: MakeServer, make_api: MakeApi
) -> None:
    """Whatever the server does with a question, it gets one, and the outcome says what is known."""
    server = make_server(act)
    assert await ask(make_api(server)) == outcome
    assert len(server.requests) == 1


@pytest.mark.parametrize("ask", QUESTIONS)
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"null", b"[]", b"7", b"{}", b"\xff\xfe", b"[" * 100_000]
)
async def test_garbage(body: bytes, ask: Ask, make_server: MakeServer, make_api: MakeApi) -> None:
    """A 200 with garbage is no answer, however the SDK takes it."""
    outcome = await ask(make_api(make_server(reply(200, body))))
    assert isinstance(outcome, Unknown)
    assert outcome.http_status == 200


async def test_absent(make_server: MakeServer, make_api: MakeApi) -> None:
    """Plivo's 404 says that it has no such message."""
    server = make_server(reply(404, b'{"api_id": "a", "error": "not found"}'))
    assert await make_api(server).get(UUID) == Absent()


@pytest.mark.parametrize("ask", QUESTIONS)
@pytest.mark.parametrize(
    "act", [swallow, dribble(b"HTTP/1.1 200 Said\r\nContent-Length: 9999\r\n\r\n{")]
)
async def test_no_whole_answer_in_time(
    act: Act, ask: Ask, make_server: MakeServer, make_api: MakeApi
) -> None:
    """A question is given up at the time-out as a send is, and its connection cut."""
    server = make_server(act)
    started_s = asyncio.get_running_loop().time()
    outcome = await ask(make_api(server, timeout_s=SHORT_S))
    assert asyncio.get_running_loop().time() - started_s < SHORT_S + 1
    assert isinstance(outcome, Unknown)
    assert len(server.requests) == 1


@pytest.mark.parametrize("ask", QUESTIONS)
async def test_nobody_there(ask: Ask, make_server: MakeServer, make_api: MakeApi) -> None:
    """A question that nobody takes is not sent."""
    server = make_server()
    server.close()
    expected = NotSent("ConnectionRefusedError: Connection refused")
    assert await ask(make_api(server)) == expected


@pytest.mark.parametrize("ask", QUESTIONS)
async def test_closing(ask: Ask, make_server: MakeServer, make_api: MakeApi) -> None:
    """Closing cuts a question in flight; later ones are not sent."""
    server = make_server(swallow)
    api = make_api(server)
    asking = asyncio.ensure_future(ask(api))
    await until(server.asked)
    await api.close()
    assert await asking == Unknown("cut off: closing")
    assert await ask(api) == NotSent("closed")


async def test_a_connection_serves_many(make_server: MakeServer, make_api: MakeApi) -> None:
    """Answers that the SDK stumbles over leave the connection fit for the next question."""
    server = make_server(
        reply(401, b'{"error": "who"}'), reply(404, b"{}"), reply(200, b"7"), reply(200, ROW)
    )
    api = make_api(server, concurrency=1)
    outcomes = [await api.list(QUERY), *[await api.get(UUID) for _ in range(3)]]
    assert outcomes[-1] == Found(record(ROW))
    assert server.connections == 1


async def test_nothing_is_logged(
    make_server: MakeServer, make_api: MakeApi, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither a refusal nor a redirect makes the libraries below say where they were."""
    query = replace(QUERY, recipient="+14155552323")
    with caplog.at_level(logging.DEBUG):
        await make_api(make_server(reply(500))).list(query)
        await make_api(make_server(reply(302, Location=PATH))).get(UUID)
    assert [line for line in caplog.records if line.name != "asyncio"] == []
