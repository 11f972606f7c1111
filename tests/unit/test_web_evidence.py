"""`GET /messages/{id}/evidence` and `plivostatusctl prove`: everything known, checked again."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from plivostatusd.domain.signature import Key, Verifier
from plivostatusd.web.evidence import NOT_KEPT
from tests.unit.listeners import PUBLIC, Listeners, callback, running
from tests.unit.test_ctl_daemon import run

SEND = {"to": "+14155550006", "text": "hello world"}


@pytest.fixture
def house(io_loop: IOLoop, tmp_path: Path) -> Iterator[Listeners]:
    """Both listeners, a simulator that knows what it was sent, and an outbox that sends."""
    with running(io_loop, tmp_path) as listeners:
        yield listeners


async def delivered(house: Listeners) -> str:
    """Send a message and have its delivery reported."""
    await house.outbox.start()
    sent = (await house.api("POST", "/send", SEND)).json
    ((ref,),) = house.rows("SELECT ref FROM messages WHERE id = ?", sent["id"])
    fields = {"MessageUUID": sent["message_uuid"], "To": "14155550006"}
    request = callback(house, "delivered", f"/plivo/{ref}/status", fields=fields)
    assert 200 == (await house.deliver(request)).status
    return str(sent["id"])


async def evidence(house: Listeners, name: str, query: str = "") -> dict[str, Any]:
    """Ask for the evidence."""
    reply = await house.api("GET", f"/messages/{name}/evidence{query}")
    assert 200 == reply.status, reply.text
    return dict(reply.json)


async def test_everything(house: Listeners) -> None:
    """The message, the bytes of its callback, each signature's verdict and Plivo's record."""
    name = await delivered(house)
    said = await evidence(house, name)
    assert (await house.api("GET", f"/messages/{name}")).json == said["message"]
    (record,) = said["records"]
    raw = b64decode(record["raw"])
    assert house.rows("SELECT raw FROM events WHERE raw IS NOT NULL") == [(raw,)]
    assert hashlib.sha256(raw).hexdigest() == record["sha256"]
    assert record["request"]["body"].encode() == raw.partition(b"\n\n")[2]
    verdicts = {(each["header"], each["genuine"], each["token"]) for each in record["signatures"]}
    token = house.ingest.verifier.keys[0].name
    assert {
        ("x-plivo-signature-v3", True, token),
        ("x-plivo-signature-v2", True, token),
    } <= verdicts
    assert all(each["url"].startswith(PUBLIC) for each in record["signatures"] if each["genuine"])
    assert ("found", SEND["to"][1:]) == (
        said["plivo"]["answer"],
        said["plivo"]["record"]["to_number"],
    )
    assert list(NOT_KEPT) == said["not_kept"]
    assert "local" == said["made_for"]


async def test_nothing_is_recorded(house: Listeners) -> None:
    """Looking for evidence changes nothing in the store."""
    name = await delivered(house)
    before = house.rows("SELECT * FROM events"), house.rows("SELECT * FROM messages")
    await evidence(house, name)
    assert before == (house.rows("SELECT * FROM events"), house.rows("SELECT * FROM messages"))


async def test_another_token(house: Listeners) -> None:
    """Once its token is gone, a signature is nobody's; what was found then still stands."""
    name = await delivered(house)
    house.ingest.verifier = Verifier([Key.of("auth_token 1", "x")], [PUBLIC], minimum="full")
    (record,) = (await evidence(house, name, "?ask=0"))["records"]
    assert {(False, None, None)} == {
        (each["genuine"], each["token"], each["url"]) for each in record["signatures"]
    }
    assert record["verified_by"]


async def test_what_was_blanked(house: Listeners) -> None:
    """Bytes that were forgotten are said to be."""
    name = await delivered(house)
    blank = "UPDATE events SET raw = zeroblob(length(raw)) WHERE raw IS NOT NULL"
    await house.writer.submit(lambda tx: tx.execute(blank).rowcount)
    (record,) = (await evidence(house, name, "?ask=0"))["records"]
    assert record["blanked"]
    assert {"raw", "request", "sha256"}.isdisjoint(record)


async def test_plivo_is_not_asked(house: Listeners) -> None:
    """With ask=0, and of a message that Plivo has no name for, nobody asks Plivo."""
    name = (await house.api("POST", "/send?wait=0", SEND)).json["id"]
    for query in ("", "?ask=0"):
        said = (await evidence(house, name, query))["plivo"]
        assert ("not asked", None) == (said["answer"], said["asked_at"])
    assert [] == house.simulator.requests


async def test_plivo_does_not_know_it(house: Listeners) -> None:
    """What Plivo's API does not have is said to be absent; of no answer the reason is given."""
    await house.deliver(callback(house, "sent"))
    name = (await house.api("GET", "/messages")).json["messages"][0]["id"]
    assert "absent" == (await evidence(house, name))["plivo"]["answer"]


@pytest.mark.parametrize(("path", "status"), [("nobody", 404), ("nobody?ask=perhaps", 400)])
async def test_refused(house: Listeners, path: str, status: int) -> None:
    """Of what is not there, there is no evidence; and a parameter must make sense."""
    name, mark, query = path.partition("?")
    reply = await house.api("GET", f"/messages/{name}/evidence{mark}{query}")
    assert status == reply.status


async def test_prove(house: Listeners) -> None:
    """The tool prints the story, the bytes, the verdicts and Plivo's record; or all as JSON."""
    name = await delivered(house)
    loop = asyncio.get_running_loop()
    where = ["--url", f"http://127.0.0.1:{house.api_port}"]
    ended = await loop.run_in_executor(None, lambda: run("prove", name, *where))
    assert (0, "") == (ended.status, ended.err)
    for expected in (
        f"Evidence of message {name}",
        "Plivo called back",
        "    POST /plivo/",
        "    x-plivo-signature-v3: ",
        "MessageUUID=",
        f"x-plivo-signature-v3 is genuine: {house.ingest.verifier.keys[0].name}, over {PUBLIC}/",
        "(covers method, URL, query and form)",
        "and its record says:",
        "    to_number: 14155550006",
        "Not kept, and so not shown:",
    ):
        assert expected in ended.out
    offline = await loop.run_in_executor(None, lambda: run("prove", name, "--offline", *where))
    assert "Plivo was not asked" in offline.out
    told = await loop.run_in_executor(None, lambda: run("prove", name, "--json", *where))
    assert name == told.json["message"]["id"]
    none = await loop.run_in_executor(None, lambda: run("prove", "nobody", *where))
    assert 1 == none.status
