"""`POST /messages/{id}/settle` over the operator's socket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from plivostatusd.store import entries
from tests.unit.listeners import Listeners, running
from tests.wire import Answer

SEND = {"to": "+14155552323", "text": "hello world"}
UUID = "b795906a-8a79-11ec-9bd3-0242ac110003"


@pytest.fixture
def house(io_loop: IOLoop, tmp_path: Path) -> Iterator[Listeners]:
    """Both listeners, over an empty store."""
    with running(io_loop, tmp_path) as listeners:
        yield listeners


async def unknown(house: Listeners) -> str:
    """Record a send, and lose the answer to its call."""
    name = str((await house.api("POST", "/send?wait=0", SEND)).json["id"])
    entry = await house.writer.submit(lambda tx: entries.claim(tx, 2**50, 2**60))
    await house.writer.submit(lambda tx: entries.settle_unknown(tx, entry.row, "lost", 1, 1))
    return name


async def settle(house: Listeners, name: str, **said: Any) -> Answer:
    """Say what became of a send."""
    return await house.operator("POST", f"/messages/{name}/settle", said)


async def test_sent(house: Listeners) -> None:
    """It is queued at Plivo; the event says whose word that is."""
    reply = await settle(house, await unknown(house), outcome="sent", message_uuid=UUID)
    assert (200, "queued", UUID) == (reply.status, reply.json["status"], reply.json["message_uuid"])
    event = reply.json["events"][-1]
    assert ("operator", "unix:root") == (event["source"], event["by"])


async def test_not_sent(house: Listeners) -> None:
    """It is refused, and a form will do."""
    name = await unknown(house)
    reply = await house.operator("POST", f"/messages/{name}/settle", b"outcome=not-sent")
    assert (200, "refused") == (reply.status, reply.json["status"])
    assert 409 == (await settle(house, name, outcome="not-sent")).status


async def test_send_again(house: Listeners) -> None:
    """The answer is the new message, which names the one that it repeats."""
    name = await unknown(house)
    reply = await settle(house, name, outcome="send-again")
    assert (200, "pending", name) == (
        reply.status,
        reply.json["status"],
        reply.json["resend_of"],
    )
    assert name != reply.json["id"]


@pytest.mark.parametrize(
    ("said", "fields"),
    [
        ({}, {"outcome"}),
        ({"outcome": "perhaps"}, {"outcome"}),
        ({"outcome": "sent"}, {"message_uuid"}),
        ({"outcome": "sent", "message_uuid": "../x"}, {"message_uuid"}),
        ({"outcome": "sent", "message_uuid": 7}, {"message_uuid"}),
        ({"outcome": "not-sent", "message_uuid": UUID}, {"message_uuid"}),
        ({"outcome": "not-sent", "why": "x"}, {"why"}),
    ],
)
async def test_not_understood(house: Listeners, said: dict[str, Any], fields: set[str]) -> None:
    """What is wrong with it is named, and nothing is settled."""
    name = await unknown(house)
    reply = await settle(house, name, **said)
    assert (400, fields) == (reply.status, {each["field"] for each in reply.json["problems"]})
    assert "unknown" == (await house.api("GET", f"/messages/{name}")).json["status"]


async def test_nobody_elses_business(house: Listeners) -> None:
    """Over TCP nobody settles anything, and of what is not there nothing is settled."""
    name = await unknown(house)
    reply = await house.api("POST", f"/messages/{name}/settle", {"outcome": "not-sent"})
    assert 403 == reply.status
    assert 404 == (await settle(house, "nobody", outcome="not-sent")).status
