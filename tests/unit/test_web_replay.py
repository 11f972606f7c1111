"""`POST /replay`: stored events for an operator, a page at a time, up to a fixed end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from tests.unit.listeners import Listeners, callback, running
from tests.unit.store_place import uuid


@pytest.fixture
def house(io_loop: IOLoop, tmp_path: Path) -> Iterator[Listeners]:
    """Both listeners, over an empty store."""
    with running(io_loop, tmp_path) as listeners:
        yield listeners


async def report(house: Listeners, *numbers: int) -> None:
    """Deliver a callback about each message."""
    for number in numbers:
        request = callback(house, "sent", fields={"MessageUUID": uuid(number)})
        assert 200 == (await house.deliver(request)).status


async def page(house: Listeners, query: str = "") -> dict[str, Any]:
    """Ask for a page."""
    reply = await house.operator("POST", f"/replay{query}", b"")
    assert 200 == reply.status, reply.text
    return dict(reply.json)


async def test_to_a_fixed_end(house: Listeners) -> None:
    """Page by page every event comes once, as in /events, up to the newest of the first page."""
    await report(house, *range(5))
    wanted = (await house.api("GET", "/events")).json["events"]
    found = await page(house, "?limit=2")
    events, lefts = found["events"], [found["left"]]
    await report(house, 5, 6)
    while found["left"]:
        found = await page(house, f"?limit=2&after={found['next']}&until={found['end']}")
        events += found["events"]
        lefts.append(found["left"])
    assert (wanted, [3, 1, 0]) == (events, lefts)
    assert found["next"] == found["end"] == wanted[-1]["cursor"]
    assert 2 == len((await page(house, f"?after={found['next']}"))["events"])


async def test_since(house: Listeners) -> None:
    """It may begin with what was received at a moment; nothing from then on is the end."""
    await report(house, *range(4))
    events = (await house.api("GET", "/events")).json["events"]
    moment = events[2]["event"]["received_at"]
    assert events[2:] == (await page(house, f"?since={moment}"))["events"]
    assert events == (await page(house, "?since=2000-01-01T00:00:00Z"))["events"]
    later = await page(house, "?since=2100-01-01T00:00:00Z")
    assert ([], 0, later["end"]) == (later["events"], later["left"], later["next"])


async def test_an_empty_store(house: Listeners) -> None:
    """Without events there are none, and a cursor to go on from."""
    found = [await page(house, query) for query in ("", "?since=2000-01-01T00:00:00Z")]
    assert [([], 0)] * 2 == [(each["events"], each["left"]) for each in found]
    assert [each["end"] for each in found] == [each["next"] for each in found]
    await report(house, 1)
    assert 1 == len((await page(house, f"?after={found[0]['next']}"))["events"])


async def test_refusals(house: Listeners) -> None:
    """Operators alone, on the socket; a cursor of another store is 410, and nonsense 400."""
    assert 403 == (await house.api("POST", "/replay", b"")).status
    assert 405 == (await house.operator("GET", "/replay")).status
    assert 410 == (await house.operator("POST", "/replay?after=00000000-1", b"")).status
    for bad in ("after=x", "since=soon", "limit=0", "limit=1001", "wait=5", "after=end&since=x"):
        assert 400 == (await house.operator("POST", f"/replay?{bad}", b"")).status, bad
    moment = "2026-11-23T09:00:00Z"
    assert 400 == (await house.operator("POST", f"/replay?after=end&since={moment}", b"")).status
