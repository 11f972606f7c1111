"""The whole daemon asks Plivo about what no callback told it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from plivostatusd.simulator import Simulator
from plivostatusd.simulator.account import Outage
from tests.acceptance.daemon import ROOT, Daemon, running

QUICK = {"after": "1s", "get_per_second": "500", "list_per_minute": "1000"}
NOBODY = "0192f0c8-0000-7000-8000-000000000000"
BACK_US = 60_000_000


async def ctl(daemon: Daemon, *words: str) -> tuple[int, str, str]:
    """Run plivostatusctl as a process, on the daemon's socket."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "plivostatusd.ctl"),
        *words,
        *("--socket", str(daemon.api_socket)),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await child.communicate()
    assert child.returncode is not None
    return child.returncode, out.decode(), err.decode()


async def became(daemon: Daemon, name: str, status: str) -> dict[str, Any]:
    """Wait until a message has a status, and give it."""
    await daemon.until(lambda statuses: statuses.get(name) == status)
    return await daemon.message(name)


async def final(daemon: Daemon, name: str) -> dict[str, Any]:
    """Follow the events of a message until it is final, and give it."""
    async for event in daemon.events():
        if event["message_id"] == name and (message := await daemon.message(name))["final"]:
            return message
    raise AssertionError  # events never end


def questions(simulator: Simulator, uuid: str = "") -> list[int | None]:
    """Give the answers to questions about single messages, or about one."""
    return [
        each.answer
        for each in simulator.requests
        if each.method == "GET" and each.path.rstrip("/").endswith(uuid) and "-" in each.path
    ]


def pages(simulator: Simulator) -> int:
    """Count the pages of Plivo's list that were read."""
    return sum(
        each.path.endswith("/Message/") for each in simulator.requests if each.method == "GET"
    )


def edit(daemon: Daemon, sql: str, *arguments: object) -> None:
    """Change the store of a daemon that does not run."""
    with closing(sqlite3.connect(daemon.store_path)) as connection, connection:
        connection.execute(sql, arguments)


def long_ago(simulator: Simulator) -> None:
    """Let Plivo have taken its messages a while ago: of the last seconds no list is asked for."""
    for message in simulator.messages.values():
        message.taken_us -= BACK_US


async def test_the_api_knows_what_no_callback_told(tmp_path: Path) -> None:
    """A message of which no callback comes is delivered, says the API once it was silent."""
    async with running(tmp_path, reconcile=QUICK) as (daemon, simulator):
        name = (await daemon.send("+16289010006")).json["id"]
        message = await became(daemon, name, "delivered")
        assert (True, "status") == (message["final"], message["final_by"])
        event = message["events"][-1]
        assert ("delivered", "api", "api") == (event["status"], event["source"], event["trust"])
        assert message["units"] == 1
        line = await daemon.line("message_reconciled", message_id=name)
        assert "changed" == line["result"]
        metrics = (await daemon.api("GET", "/metrics")).text
        assert 'plivostatusd_reconciled_total{result="changed"} 1.0' in metrics
        asked = questions(simulator, message["message_uuid"])
        assert [200] * len(asked) == asked
        assert asked


async def test_silence_is_the_last_word(tmp_path: Path) -> None:
    """A `sent` that stays the last word is final by silence, until Plivo says more."""
    async with running(tmp_path, reconcile={**QUICK, "silence_final": "2s"}) as (daemon, simulator):
        name = (await daemon.send("+16289010005")).json["id"]
        message = await final(daemon, name)
        assert ("sent", "silence") == (message["status"], message["final_by"])
        assert "silence" == message["events"][-1]["source"]
        await simulator.callback(message["message_uuid"], "delivered")
        message = await became(daemon, name, "delivered")
        assert "status" == message["final_by"]


async def test_a_lost_send_is_found_in_the_list(tmp_path: Path) -> None:
    """A send whose answer and callbacks are lost is found in Plivo's list, and not sent again."""
    lost = {"public_url": "http://127.0.0.1:9"}  # where nobody listens
    async with running(tmp_path, reconcile=QUICK, callbacks=lost) as (daemon, simulator):
        names = [
            (await daemon.send(f"+1628902{number}0007")).json["id"] for number in range(100, 102)
        ]
        assert ["unknown"] * 2 == [(await daemon.message(name))["status"] for name in names]
        await daemon.stop()
        long_ago(simulator)
        edit(daemon, "UPDATE outbox SET claimed_at = claimed_at - ?, due_at = 0", BACK_US)
        await daemon.start()
        for name in names:
            message = await final(daemon, name)
            assert "delivered" == message["status"]
            taken = simulator.messages[message["message_uuid"]]
            assert f"+{taken.dst}" == message["to"]
            first, *_ = [each for each in message["events"] if each["source"] != "send"]
            assert "inferred" == first["source"]
        assert 0 == (await daemon.api("GET", "/stats")).json["outbox"]["unknown"]
        assert 2 == len(simulator.messages)
        assert 2 == sum(each.method == "POST" for each in simulator.requests)


async def test_two_that_cannot_be_told_apart(tmp_path: Path) -> None:
    """Two lost sends that both fit stay unknown, and a person can settle them."""
    lost = {"public_url": "http://127.0.0.1:9"}
    async with running(tmp_path, reconcile=QUICK, callbacks=lost) as (daemon, simulator):
        names = [(await daemon.send("+16289010007")).json["id"] for _ in range(2)]
        await daemon.stop()
        long_ago(simulator)
        edit(daemon, "UPDATE outbox SET claimed_at = claimed_at - ?, due_at = 0", BACK_US)
        await daemon.start()
        status, out, _ = await ctl(daemon, "reconcile", *names, "--json")
        lines = [json.loads(line) for line in out.splitlines()]
        assert 0 == status
        assert ["unchanged"] * 2 == [line["result"] for line in lines[:2]]
        assert "nothing in Plivo's list fits it alone" == lines[0]["reason"]
        for name, uuid in zip(names, simulator.messages, strict=True):
            assert 0 == (await ctl(daemon, "settle", name, "--sent", uuid))[0]
            message = await became(daemon, name, "delivered")
            assert uuid == message["message_uuid"]


async def test_reconcile_by_hand(tmp_path: Path) -> None:
    """`plivostatusctl reconcile` asks now, about some or about all, and says what it changed."""
    slow = {"after": "0", "get_per_second": "500"}
    async with running(tmp_path, reconcile=slow, speed=500) as (daemon, simulator):
        names = [(await daemon.send("+16289010006")).json["id"] for _ in range(3)]
        await simulator.idle()
        status, out, err = await ctl(daemon, "reconcile", names[0], NOBODY)
        assert (1, "") == (status, err)
        first, second, last = out.splitlines()
        assert [names[0], "queued", "delivered", "changed", "-"] == first.split()
        assert [NOBODY, "not-found"] == [second.split()[0], second.split()[3]]
        assert "asked about 2: 1 changed, 1 not-found" == last
        status, out, _ = await ctl(daemon, "reconcile")
        rows = [line.split() for line in out.splitlines()[:-1]]
        assert (0, set(names[1:])) == (status, {row[0] for row in rows})
        assert "asked about 2: 2 changed" == out.splitlines()[-1]
        assert (0, "asked about 0\n") == (await ctl(daemon, "reconcile"))[:2]
        refused = await daemon.api("POST", "/reconcile", {})
        assert 403 == refused.status


async def test_a_demand_does_not_keep_it_from_stopping(tmp_path: Path) -> None:
    """A stop in the middle of a demand is a stop in good order; who asked hears that it was cut."""
    slow = {"after": "0", "get_per_second": "0.5"}
    async with running(tmp_path, reconcile=slow, speed=500) as (daemon, simulator):
        for _ in range(5):
            await daemon.send("+16289010006")
        await simulator.idle()
        child = asyncio.ensure_future(ctl(daemon, "reconcile"))
        await daemon.line("message_reconciled")
        await daemon.stop()
        status, out, err = await child
        assert 69 == status
        assert "changed" in out
        assert "asked about" not in out
        assert "is the daemon stopping?" in err


async def test_an_account_that_is_refused(tmp_path: Path) -> None:
    """While Plivo refuses the account it is asked now and then, said once; a new token resumes."""
    async with running(tmp_path, reconcile={**QUICK, "get_per_second": "2"}) as (daemon, simulator):
        daemon.allow('"reconcile_paused"')
        names = {(await daemon.send("+16289010006")).json["id"] for _ in range(2)}
        simulator.outage = Outage(401, "authentication failed")
        line = await daemon.line("reconcile_paused")
        assert "Plivo refuses the account (401)" == line["reason"]
        simulator.outage = None
        daemon.settings["plivo"]["timeout"] = "29s"  # another door to Plivo
        daemon.write_config()
        daemon.signal(signal.SIGHUP)
        await daemon.line("config_reloaded")
        await daemon.until(lambda statuses: "delivered" in map(statuses.get, names))
        assert await daemon.line("reconcile_resumed")
        assert 1 == sum(each["event"] == "reconcile_paused" for each in daemon.lines)
