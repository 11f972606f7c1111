"""What only the daemon knows, as an operator is told it."""

from __future__ import annotations

import os
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from tornado.ioloop import IOLoop

from plivostatusd import __version__
from plivostatusd.domain.errors import StoreDamaged
from plivostatusd.domain.signature import Key
from plivostatusd.simulator.options import AUTH_TOKEN
from plivostatusd.store import refusals
from tests.unit.listeners import Listeners, callback, running, until, without_v3

ROUTES = [
    ("GET", "/tokens"),
    ("GET", "/doctor"),
    ("GET", "/doctor/store"),
    ("GET", "/doctor/refused"),
    ("POST", "/doctor/probe"),
]


@pytest.fixture
def house(io_loop: IOLoop, tmp_path: Path) -> Iterator[Listeners]:
    """Both listeners, over an empty store."""
    with running(io_loop, tmp_path) as listeners:
        yield listeners


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_for_operators(house: Listeners, method: str, path: str) -> None:
    """Over TCP nobody is told any of it."""
    reply = await house.api(method, path, b"" if method == "POST" else None)
    assert 403 == reply.status
    assert reply.json["type"].endswith("operator-only")


async def test_what_runs_here(house: Listeners) -> None:
    """Versions, the settings in force and what is ready are told; a token is not."""
    house.metrics.reload_ended(successful=False)
    reply = await house.operator("GET", "/doctor")
    told = reply.json
    assert AUTH_TOKEN not in reply.text
    wanted = {
        "version": __version__,
        "pid": os.getpid(),
        "uid": os.geteuid(),
        "config_good": False,
        "public_urls": ["http://sms.example.com"],
        "minimum_trust": "url-only",
        "tokens": [Key.of("first", AUTH_TOKEN).fingerprint],
        "spool_records": 0,
        "store": str(house.store_path),
    }
    assert wanted.items() <= told.items()
    assert {"store writable", "spool empty", "disk free"} <= told["ready"].keys()
    assert told["ready"]["store writable"] is None
    assert {"no_new_privileges", "seccomp", "capabilities"} == told["privileges"].keys()


async def test_the_store(house: Listeners) -> None:
    """A good store is looked over to its end, and its sizes are told."""
    told = (await house.operator("GET", "/doctor/store")).json
    assert (None, True) == (told["fault"], told["finished"])
    assert told["bytes"] == house.store_path.stat().st_size
    assert told["wal_bytes"] > 0
    assert told["free_bytes"] > 0


@pytest.mark.expect_log("store_damaged")
async def test_a_damaged_store(house: Listeners) -> None:
    """A store that was found damaged is a fault with the command that repairs it."""
    house.writer.condemn(StoreDamaged("a page is torn", command="plivostatusd --restore"))
    with pytest.raises(StoreDamaged):
        await house.writer.submit(lambda _: None)  # what comes next hears of it, and it is logged
    told = (await house.operator("GET", "/doctor/store")).json
    assert ("a page is torn", "plivostatusd --restore") == (told["fault"], told["fix"])


async def test_no_store(house: Listeners, tmp_path: Path) -> None:
    """A store that is not there is a fault, not a traceback."""
    house.services.store_path = tmp_path / "gone" / "status.db"
    told = (await house.operator("GET", "/doctor/store")).json
    assert "cannot be looked at" in told["fault"]
    assert (None, None) == (told["bytes"], told["free_bytes"])


@pytest.mark.allow_log("callback_refused")
async def test_refused_callbacks(house: Listeners) -> None:
    """A refused callback comes back whole; a forgotten one has nothing left in it."""
    given = callback(house, token="another-token")
    assert 403 == (await house.deliver(given)).status
    await until(lambda: house.rows("SELECT 1 FROM refused"))
    (refused,) = (await house.operator("GET", "/doctor/refused")).json["refused"]
    assert ("mismatch", "0d2e4c1a-0000-4000-8000-000000000001") == (
        refused["reason"],
        refused["message_uuid"],
    )
    assert b64decode(refused["raw"]).endswith(given.body)
    await house.writer.submit(partial(refusals.forget, number="+14155552323"))
    (refused,) = (await house.operator("GET", "/doctor/refused")).json["refused"]
    assert (None, "") == (refused["message_uuid"], refused["raw"])


async def test_the_probe(house: Listeners) -> None:
    """The probe is sent, and its end told: here nobody answers at public_url."""
    told = (await house.operator("POST", "/doctor/probe", b"")).json
    assert (False, False, "resolve") == (told["successful"], told["reachable"], told["stage"])


async def test_tokens(house: Listeners) -> None:
    """Each token's last use is told by family, from the store and since; none is shown."""
    house.services.knows = replace(
        house.services.knows,
        keys=(Key.of("auth_token 1", "a-new-token"), Key.of("auth_token 2", AUTH_TOKEN)),
    )
    assert 200 == (await house.deliver(callback(house))).status
    reply = await house.operator("GET", "/tokens")
    new, old = reply.json["tokens"]
    assert ("auth_token 1", True, None) == (new["name"], new["sends"], new["last_used_at"])
    assert ("auth_token 2", False, None) == (old["name"], old["sends"], old["last_v2_at"])
    assert old["last_used_at"] == old["last_v3_at"]
    assert 200 == (await house.deliver(without_v3(callback(house, "sent")))).status
    again = (await house.operator("GET", "/tokens")).json["tokens"][1]
    assert again["last_used_at"] == again["last_v2_at"] > old["last_v3_at"]
    assert AUTH_TOKEN not in reply.text


async def test_a_dropped_token(house: Listeners) -> None:
    """A token that is configured no more is still told of, without a name."""
    assert 200 == (await house.deliver(callback(house))).status
    house.services.token_uses.last_us.clear()  # as after a restart
    house.services.knows = replace(house.services.knows, keys=(Key.of("auth_token 1", "new"),))
    _, old = (await house.operator("GET", "/tokens")).json["tokens"]
    assert (None, False) == (old["name"], old["in_force"])
    assert old["last_v3_at"] is not None
