"""`GET /export`: each message once, as it is asked for alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from plivostatusd.web import export
from tests.logbook import Logbook
from tests.unit.listeners import Listeners, callback, running
from tests.unit.store_place import uuid

COUNT = 7


@pytest.fixture
def house(io_loop: IOLoop, tmp_path: Path) -> Iterator[Listeners]:
    """Both listeners, over an empty store."""
    with running(io_loop, tmp_path) as listeners:
        yield listeners


async def fill(house: Listeners) -> None:
    """Have Plivo report some messages, twice each, and send one."""
    for number in range(COUNT - 1):
        for status in ("sent", "delivered"):
            request = callback(house, status, fields={"MessageUUID": uuid(number)})
            assert 200 == (await house.deliver(request)).status
    await house.api("POST", "/send?wait=0", {"to": "+14155552323", "text": "hello"})


async def exported(house: Listeners, query: str = "") -> list[dict[str, Any]]:
    """Ask for it; the lines come back."""
    reply = await house.api("GET", f"/export{query}")
    assert (200, "application/x-ndjson") == (reply.status, reply.headers["Content-Type"])
    return [json.loads(line) for line in reply.text.splitlines()]


@pytest.mark.parametrize("page", [1, 3, COUNT, 100])
async def test_each_once(house: Listeners, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    """However many are read in one go, each message is there once, oldest first, as alone."""
    monkeypatch.setattr(export, "PAGE", page)
    await fill(house)
    *messages, done = await exported(house)
    assert {"done": True, "exported": COUNT} == done
    listed = (await house.api("GET", "/messages")).json["messages"]
    assert [each["id"] for each in reversed(listed)] == [each["id"] for each in messages]
    for message in messages:
        assert message == (await house.api("GET", f"/messages/{message['id']}")).json


async def test_it_is_logged(house: Listeners, logbook: Logbook) -> None:
    """Who took how many messages away stands in the log, and none of what they say."""
    await fill(house)
    await exported(house)
    assert [{"by": "local", "count": COUNT}] == logbook.events("messages_exported")


async def test_a_period(house: Listeners) -> None:
    """Both ends of the period count as in the list: from the first on, before the second."""
    await fill(house)
    *messages, _ = await exported(house)
    first, last = messages[2]["created_at"], messages[4]["created_at"]
    *some, done = await exported(house, f"?since={first}&until={last}")
    assert (messages[2:4], 2) == (some, done["exported"])
    assert [{"done": True, "exported": 0}] == await exported(
        house, f"?until={messages[0]['created_at']}"
    )
    assert 400 == (await house.api("GET", "/export?since=soon")).status
    assert 400 == (await house.api("GET", "/export?limit=5")).status


async def test_what_comes_meanwhile(house: Listeners, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that is made after the beginning is not in it, however long it takes."""
    monkeypatch.setattr(export, "PAGE", 1)
    await fill(house)
    begun = house.services.now_us()
    house.services.now_us = lambda: begun
    asking = asyncio.ensure_future(exported(house))
    await house.deliver(callback(house, "sent", fields={"MessageUUID": uuid(99)}))
    assert COUNT == (await asking)[-1]["exported"]


async def test_a_store_that_goes(house: Listeners) -> None:
    """A store that cannot be read any more is told by the last line."""
    await house.writer.submit(lambda tx: tx.execute("ALTER TABLE messages RENAME TO m"))
    (last,) = await exported(house)
    assert 503 == last["error"]["status"]
    await house.writer.submit(lambda tx: tx.execute("ALTER TABLE m RENAME TO messages"))
