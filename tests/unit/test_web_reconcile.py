"""`POST /reconcile` over the operator's socket: Plivo is asked now, and each answer is a line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from plivostatusd.flows.reconcile import reconcile
from plivostatusd.simulator.account import Outage
from plivostatusd.store import entries
from plivostatusd.web.reconcile import IDS_MAX
from tests.unit.listeners import Listeners, running, until
from tests.wire import Answer, Wire, spelt

TO = "+14155550006"  # no callback at all; the API knows `delivered`
NOBODY = "0192f0c8-0000-7000-8000-000000000000"


@pytest.fixture
def house(io_loop: IOLoop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listeners]:
    """Both listeners, over an empty store."""
    monkeypatch.setattr(reconcile, "IDLE_S", 0.05)
    with running(io_loop, tmp_path) as listeners:
        yield listeners


@asynccontextmanager
async def asking(house: Listeners) -> AsyncIterator[None]:
    """Run the flow that asks."""
    await house.reconcile.begin()
    story = asyncio.ensure_future(house.reconcile.run())
    yield
    story.cancel()
    await asyncio.wait([story])


async def sent(house: Listeners) -> str:
    """Send a message of which no callback will come, and wait until Plivo knows its end."""
    await house.outbox.start()
    reply = await house.api("POST", "/send", {"to": TO, "text": "hello"})
    assert "queued" == reply.json["status"]
    await house.simulator.idle()
    return str(reply.json["id"])


async def demand(house: Listeners, **said: Any) -> tuple[Answer, list[dict[str, Any]]]:
    """Demand answers, and give the lines."""
    reply = await house.operator("POST", "/reconcile", said)
    return reply, [json.loads(line) for line in reply.body.splitlines()]


async def test_by_id(house: Listeners) -> None:
    """Each message is a line: what it was, what it is, what came of it; the last line counts."""
    name = await sent(house)
    uuid = (await house.api("GET", f"/messages/{name}")).json["message_uuid"]
    reply, lines = await demand(house, ids=[name, NOBODY, uuid])
    assert (200, "application/x-ndjson") == (reply.status, reply.headers["Content-Type"])
    about = {
        "id": name,
        "message_uuid": uuid,
        "after": "delivered",
        "reason": None,
        "error_code": None,
    }
    assert [
        {**about, "before": "queued", "result": "changed"},
        {"id": NOBODY, "result": "not-found"},
        {**about, "before": "delivered", "result": "unchanged"},
        {"done": True, "asked": 3, "results": {"changed": 1, "not-found": 1, "unchanged": 1}},
    ] == lines
    event = (await house.api("GET", f"/messages/{name}")).json["events"][-1]
    assert ("delivered", "api", "api") == (event["status"], event["source"], event["trust"])


async def test_one_id_in_a_form(house: Listeners) -> None:
    """A form will do for one."""
    name = await sent(house)
    reply = await house.operator("POST", "/reconcile", f"ids={name}".encode())
    assert [name, True] == [
        json.loads(line).get(key)
        for line, key in zip(reply.body.splitlines(), ("id", "done"), strict=True)
    ]


async def test_several_ids_in_a_form(house: Listeners) -> None:
    """A form may name several, as curl -d does."""
    reply = await house.operator("POST", "/reconcile", f"ids={NOBODY}&ids=nobody".encode())
    assert [NOBODY, "nobody"] == [json.loads(line)["id"] for line in reply.body.splitlines()[:-1]]


async def test_everything(house: Listeners) -> None:
    """Without ids all that is open is asked about; of nothing at all nothing is said."""
    name = await sent(house)
    async with asking(house):
        _, lines = await demand(house)
        assert [(name, "changed")] == [(line["id"], line["result"]) for line in lines[:-1]]
        assert {"done": True, "asked": 1, "results": {"changed": 1}} == lines[-1]
        _, lines = await demand(house)
        assert [{"done": True, "asked": 0, "results": {}}] == lines


@pytest.mark.expect_log("reconcile_paused")
async def test_plivo_does_not_answer(house: Listeners) -> None:
    """What could not be asked is a line that says why, without a word of Plivo's own."""
    name = await sent(house)
    house.simulator.outage = Outage(401, "no such account")
    _, lines = await demand(house, ids=[name])
    assert ("queued", "failed", "Plivo refuses the account (401)") == (
        lines[0]["after"],
        lines[0]["result"],
        lines[0]["reason"],
    )
    metrics = (await house.api("GET", "/metrics")).text
    assert 'plivostatusd_reconciled_total{result="failed"} 1.0' in metrics
    assert 'plivostatusd_reconciled_total{result="inferred"} 0.0' in metrics


@pytest.mark.parametrize(
    ("said", "fields"),
    [
        ({"ids": 7}, {"ids"}),
        ({"ids": [7]}, {"ids"}),
        ({"ids": [""]}, {"ids"}),
        ({"ids": ["\ud800"]}, {"ids"}),
        ({"ids": ["x" * 65]}, {"ids"}),
        ({"ids": ["x"] * (IDS_MAX + 1)}, {"ids"}),
        ({"id": NOBODY}, {"id"}),
    ],
)
async def test_not_understood(house: Listeners, said: dict[str, Any], fields: set[str]) -> None:
    """What is wrong with a demand is named, and nobody is asked."""
    reply, _ = await demand(house, **said)
    assert (400, fields) == (reply.status, {each["field"] for each in reply.json["problems"]})
    assert "bad-demand" in reply.json["type"]


async def test_nobody_elses_business(house: Listeners) -> None:
    """Over TCP nobody has Plivo asked."""
    assert 403 == (await house.api("POST", "/reconcile", {})).status


@pytest.mark.expect_log("batch_failed")
async def test_the_store_takes_nothing(house: Listeners) -> None:
    """A refusal on the way is the last line."""
    with house.locked_store():
        reply, lines = await demand(house, ids=[NOBODY])
    assert (200, 1) == (reply.status, len(lines))
    assert 503 == lines[0]["error"]["status"]


async def test_the_client_goes_away(house: Listeners) -> None:
    """A demand about everything ends with the client that made it."""
    await house.outbox.start()
    desk = house.reconcile._desk
    desk.get_pace.per_second = 4.0
    async with asking(house):
        for _ in range(3):
            await sent(house)
        async with Wire.to(house.api_socket) as wire:
            await wire.write(spelt("POST", "/reconcile", {}))
            await wire.head()
            assert 1 == desk.demands
        await until(lambda: desk.demands == 0)


async def test_the_daemon_stops(house: Listeners) -> None:
    """A demand does not keep the daemon from stopping: it has no last line then."""
    desk = house.reconcile._desk
    desk.get_pace.per_second = 4.0
    async with asking(house):
        for _ in range(3):
            await sent(house)
        async with Wire.to(house.api_socket) as wire:
            await wire.write(spelt("POST", "/reconcile", {}))
            await wire.head()
            house.services.stopping.set()
            rest = b"".join([chunk async for chunk in wire.chunks()])
        assert b'"done"' not in rest
        assert await house.services.in_flight.empty(within_s=5)


async def test_a_lost_send(house: Listeners) -> None:
    """A send whose outcome is unknown is looked for in Plivo's list, and found there."""
    reply = await house.api("POST", "/send?wait=0", {"to": TO, "text": "hello"})
    entry = await house.writer.submit(lambda tx: entries.claim(tx, house.services.now_us(), 2**60))
    taken = house.simulator.take(dst=TO.removeprefix("+"), url="", src="14155551212")
    await house.writer.submit(lambda tx: entries.settle_unknown(tx, entry.row, "lost", 1, 1))
    # Nothing is inferred while the list may still lack something.
    await house.writer.submit(
        lambda tx: tx.execute("UPDATE outbox SET claimed_at = claimed_at - 130000000")
    )
    taken.taken_us -= 130_000_000
    _, lines = await demand(house, ids=[reply.json["id"]])
    assert ("inferred", taken.uuid) == (lines[0]["result"], lines[0]["message_uuid"])
