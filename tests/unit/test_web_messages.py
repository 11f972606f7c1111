"""`GET /messages` and `GET /messages/{id}`: by either id, by filters, page by page."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from tornado.ioloop import IOLoop

from plivostatusd.store import entries
from plivostatusd.store.reader import Filter
from plivostatusd.web import shapes
from plivostatusd.web.documents import SLICE
from tests.unit.listeners import SENDER, Listeners, callback, running

UUID = "0d2e4c1a-0000-4000-8000-000000000001"
REF_OF_ID = "SELECT ref FROM messages WHERE id = ?"


@pytest.fixture
def house(io_loop: IOLoop, tmp_path: Path) -> Iterator[Listeners]:
    """Both listeners, over an empty store."""
    with running(io_loop, tmp_path) as listeners:
        yield listeners


async def recorded(house: Listeners, **fields: Any) -> str:
    """Record a send that nobody makes, and give its id."""
    send = {"to": "+14155552323", "text": "hello", **fields}
    reply = await house.api("POST", "/send?wait=0", send)
    assert 202 == reply.status
    return str(reply.json["id"])


async def listed(house: Listeners, **query: Any) -> list[dict[str, Any]]:
    """Ask for one page."""
    reply = await house.api("GET", f"/messages?{urlencode(query)}")
    assert 200 == reply.status, reply.text
    return list(reply.json["messages"])


async def test_long_answers_one_at_a_time(house: Listeners) -> None:
    """While a long answer is made another one waits, and short ones do not."""
    async with house.services.long_answers:
        asked = [
            asyncio.ensure_future(house.api("GET", f"{path}?limit={SLICE + 1}"))
            for path in ("/messages", "/events")
        ]
        for path in ("/messages", "/events"):
            assert 200 == (await house.api("GET", f"{path}?limit={SLICE}")).status
        assert not any(each.done() for each in asked)
    assert [200, 200] == [(await each).status for each in asked]


async def test_by_either_id(house: Listeners) -> None:
    """A message is found by our id and by Plivo's, the same one, with its events in order."""
    own_id = await recorded(house)
    ((ref,),) = house.rows(REF_OF_ID, own_id)
    for status in ("delivered", "sent"):
        request = callback(house, status, f"/plivo/{ref}/status", fields={"Units": "2"})
        assert 200 == (await house.deliver(request)).status
    by_id, by_uuid = [await house.api("GET", f"/messages/{name}") for name in (own_id, UUID)]
    assert by_id.json == by_uuid.json
    found = by_id.json
    assert (own_id, UUID, "delivered", True) == (
        found["id"],
        found["message_uuid"],
        found["status"],
        found["final"],
    )
    assert 2 == found["units"]
    events = [(each["status"], each["source"], each["trust"]) for each in found["events"]]
    genuine = [("delivered", "callback", "full"), ("sent", "callback", "full")]
    assert [("pending", "send", "local"), *genuine] == events
    for event in found["events"]:
        assert {"status", "sequence", "at", "received_at", "trust", "source", "error_code"} <= set(
            event
        )
        assert event["received_at"].endswith("Z")


async def test_unknown_id(house: Listeners) -> None:
    """What nobody knows is a 404 problem."""
    for name in ("nothing", UUID, "x" * 64):
        reply = await house.api("GET", f"/messages/{name}")
        assert 404 == reply.status
        assert "urn:plivostatusd:problem:not-found" == reply.json["type"]


async def test_alias(house: Listeners) -> None:
    """When an early callback's row turns out to be our message, both ids lead to it."""
    assert 200 == (await house.deliver(callback(house, "queued"))).status
    ((early_id,),) = house.rows("SELECT id FROM messages")
    own_id = await recorded(house)
    ((ref,),) = house.rows(REF_OF_ID, own_id)
    assert 200 == (await house.deliver(callback(house, "sent", f"/plivo/{ref}/status"))).status
    for name in (early_id, own_id, UUID):
        found = (await house.api("GET", f"/messages/{name}")).json
        assert (own_id, "sent") == (found["id"], found["status"])
    assert [own_id] == [each["id"] for each in await listed(house)]


async def test_times(house: Listeners) -> None:
    """Times are RFC 3339, UTC; Plivo's own time of the status stands beside ours."""
    fields = {"DeliveryReportTime": "2026-11-23 09:00:02.5", "ErrorCode": "000"}
    await house.deliver(callback(house, fields=fields))
    (found,) = await listed(house)
    assert "2026-11-23T09:00:02.500000Z" == found["status_timestamp"]
    assert found["error_code"] is None
    assert found["created_at"].endswith("Z")


async def test_errors_are_explained(house: Listeners) -> None:
    """An error code comes with what it means; of one message, with all that is known of it."""
    await house.deliver(callback(house, "failed", fields={"ErrorCode": "420"}))
    (found,) = await listed(house)
    assert ("420", "message expired in Plivo's queue") == (found["error_code"], found["error"])
    whole = (await house.api("GET", f"/messages/{found['id']}")).json
    assert "no: it was stopped within Plivo" == whole["error_explained"]["charged"]
    assert found["error"] == whole["events"][0]["error"]


async def test_no_error_is_not_explained(house: Listeners) -> None:
    """Where nothing went wrong there is nothing to explain."""
    await house.deliver(callback(house, "delivered", fields={"ErrorCode": "000"}))
    (found,) = await listed(house)
    whole = (await house.api("GET", f"/messages/{found['id']}")).json
    assert (None, None) == (whole["error"], whole["error_explained"])
    assert "error" not in whole["events"][0]


async def test_filters(house: Listeners) -> None:
    """Each filter, and several together, give the messages that hold to all of them."""
    first = await recorded(house, tag="a b", to="+14155550001")
    second = await recorded(house, **{"from": "+14155559999", "to": "+14155550002"})
    fields = {"To": "14155550001", "ErrorCode": "30", "MCC": "310", "MNC": "150"}
    await house.deliver(callback(house, "delivered", fields=fields))
    third = (await listed(house))[0]["id"]
    expected: dict[str, list[str]] = {
        "status=pending": [second, first],
        "status=delivered": [third],
        "status=nonsense": [],
        "to=%2B14155550001": [third, first],
        "to=+14155550001": [third, first],
        "to=14155550002": [second],
        f"from={quote(SENDER)}": [third, first],
        "tag=a+b": [first],
        "final=true": [third],
        "final=0": [second, first],
        "to=14155550001&final=false": [first],
        "to=14155550001&status=delivered&tag=x": [],
        "limit=2": [third, second],
        "error=30": [third],
        "error=31": [],
        "carrier=310": [third],
        "carrier=310-150": [third],
        "carrier=310/151": [],
        "by=local": [second, first],
        "by=nobody": [],
        "carrier=310&error=30&final=true": [third],
    }
    for query, ids in expected.items():
        reply = await house.api("GET", f"/messages?{query}")
        assert (query, ids) == (query, [each["id"] for each in reply.json["messages"]])


async def test_span_of_time(house: Listeners) -> None:
    """`since` counts, `until` does not; an offset's plus may have come as a blank."""
    ids = [await recorded(house) for _ in range(3)]
    ((middle_us,),) = house.rows("SELECT created_at FROM messages WHERE id = ?", ids[1])
    times = [each["created_at"] for each in await listed(house)]
    assert middle_us
    assert ids[:0:-1] == [each["id"] for each in await listed(house, since=times[1])]
    assert ids[:1] == [each["id"] for each in await listed(house, until=times[1])]
    local = f"{times[1].removesuffix('Z')} 00:00"
    assert 2 == len(await listed(house, since=local))


@pytest.mark.parametrize(
    "query",
    [
        *(
            "to=?!",
            "since=yesterday",
            "until=2026-13-01T00:00:00Z",
            "final=maybe",
            "limit=1001",
        ),
        *("carrier=31", "carrier=310-1", "carrier=x", "error=x", "error="),
        *("limit=ten", "cursor=1", "cursor=a.b", "cursor=-1.2", f"cursor={'9' * 30}.1", "status"),
    ],
)
async def test_filters_that_are_none(house: Listeners, query: str) -> None:
    """A filter that cannot be meant is 400 and names the parameter."""
    reply = await house.api("GET", f"/messages?{query}")
    if query == "status":
        assert [] == reply.json["messages"]
        return
    assert 400 == reply.status
    assert [query.partition("=")[0]] == [each["field"] for each in reply.json["problems"]]


async def test_parameters_of_one_message(house: Listeners) -> None:
    """A single message takes no parameters; one that is given is refused, not ignored."""
    own_id = await recorded(house)
    assert 400 == (await house.api("GET", f"/messages/{own_id}?events=no")).status


@pytest.mark.parametrize("query", [{}, {"status": "pending"}, {"final": "false"}, {"tag": "x"}])
async def test_pages(house: Listeners, query: dict[str, str]) -> None:
    """Page after page gives every message once, newest first, while new ones come in."""
    numbers = [f"+1415{index:07}" for index in range(2_000_000, 2_000_250)]
    send = {"to": numbers, "text": "hello", "tag": "x"}
    assert 202 == (await house.api("POST", "/send?wait=0", send)).status
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        target = urlencode({**query, "limit": "40", **cursor})
        page = (await house.api("GET", f"/messages?{target}")).json
        seen += [each["to"] for each in page["messages"]]
        await recorded(house, tag="x")
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert numbers[::-1] == seen


async def test_calls(house: Listeners) -> None:
    """How often Plivo was called, and when last, is told before a send is settled and after."""
    own_id = await recorded(house)

    async def told() -> tuple[object, object]:
        found = (await house.api("GET", f"/messages/{own_id}")).json
        return found["attempts"], found["called_at"]

    assert (None, None) == await told()
    entry = await house.writer.submit(lambda tx: entries.claim(tx, 1_000_000, 2**60))
    assert (1, "1970-01-01T00:00:01Z") == await told()
    await house.writer.submit(lambda tx: entries.postpone(tx, entry.row, 1))
    await house.writer.submit(lambda tx: entries.claim(tx, 2_000_000, 2**60))
    await house.writer.submit(lambda tx: entries.settle_accepted(tx, entry.row, UUID, 3_000_000))
    assert (2, "1970-01-01T00:00:02Z") == await told()
    row = (await house.reader.messages(Filter())).records[0]
    shaped = shapes.message(row, [])
    assert await told() == (shaped["attempts"], shaped["called_at"])
