"""`POST /import` over the operator's socket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from plivostatusd.flows.importing import STEP
from plivostatusd.web.imports import ROWS_MAX
from tests.unit.listeners import Listeners, running

ROW = {
    "status": "delivered",
    "to": "+14155552323",
    "text": "hello",
    "created_at": "2025-11-23 09:00:00",
}


@pytest.fixture
def house(io_loop: IOLoop, tmp_path: Path) -> Iterator[Listeners]:
    """Both listeners, over an empty store."""
    with running(io_loop, tmp_path) as listeners:
        yield listeners


def uuid(number: int) -> str:
    """Make Plivo's name of a message."""
    return f"b795906a-8a79-11ec-9bd3-{number:012}"


async def test_good_and_bad(house: Listeners) -> None:
    """Good rows are taken and bad ones told of by their place, without what they hold."""
    rows = [
        ROW | {"message_uuid": uuid(1)},
        ROW | {"message_uuid": uuid(2), "to": "nobody-in-here"},
        ROW | {"message_uuid": uuid(3)},
    ]
    reply = await house.operator("POST", "/import", {"rows": rows})
    assert 200 == reply.status
    told = reply.json
    assert (2, 0, 0) == (told["imported"], told["changed"], told["unchanged"])
    assert [(1, "to")] == [(each["row"], each["field"]) for each in told["bad"]]
    assert "nobody-in-here" not in reply.text
    message = (await house.api("GET", f"/messages/{uuid(3)}")).json
    assert ("delivered", "hello", "2025-11-23T09:00:00Z") == (
        message["status"],
        message["text"],
        message["created_at"],
    )
    (event,) = message["events"]
    assert ("operator", "local", "unix:root") == (event["source"], event["trust"], event["by"])


async def test_many(house: Listeners) -> None:
    """Many rows are several transactions, each of them told of as it was."""
    rows = [ROW | {"message_uuid": uuid(number)} for number in range(2 * STEP + 1)]
    before = house.writer.commits
    reply = await house.operator("POST", "/import", {"rows": rows})
    assert len(rows) == reply.json["imported"]
    assert house.writer.commits >= before + 3
    reply = await house.operator("POST", "/import", {"rows": rows})
    assert (0, len(rows)) == (reply.json["imported"], reply.json["unchanged"])


@pytest.mark.parametrize(
    "body",
    [{}, {"rows": []}, {"rows": [1]}, {"rows": [{}] * (ROWS_MAX + 1)}, {"rows": [{}], "x": 1}],
)
async def test_no_rows(house: Listeners, body: dict[str, Any]) -> None:
    """A body that holds no rows is refused as a whole."""
    reply = await house.operator("POST", "/import", body)
    assert (400, "urn:plivostatusd:problem:bad-import") == (reply.status, reply.json["type"])


async def test_for_operators(house: Listeners) -> None:
    """Over TCP nobody imports anything."""
    reply = await house.api("POST", "/import", {"rows": [ROW | {"message_uuid": uuid(1)}]})
    assert 403 == reply.status
    assert [] == house.rows("SELECT 1 FROM messages")
