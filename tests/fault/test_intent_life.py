"""A send's whole life, cut by kill -9 between any two of its steps: never sent twice."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import pytest

from plivostatusd.flows.reconcile.reconcile import TOO_EARLY
from plivostatusd.store.rolls import STEP
from tests.acceptance.daemon import Daemon, running
from tests.fault.mortal import LISTED, STEPS

TO = "+14155550006"  # its fate is known to Plivo's API alone


async def killed_at(daemon: Daemon, step: str) -> None:
    """Let a daemon take one send, and end at *step* of its way."""
    daemon.program = ["-m", "tests.fault.mortal", step]
    await daemon.start()
    sending = asyncio.ensure_future(daemon.send(TO, wait="10s"))
    assert -signal.SIGKILL == await daemon.ended()
    await asyncio.wait([sending])
    assert sending.exception() is not None  # nobody was told anything
    daemon.program = ["-m", "plivostatusd"]


@pytest.mark.parametrize("step", STEPS)
async def test_killed_at(step: str, tmp_path: Path) -> None:
    """Plivo is asked once at most; what may have reached it is unknown, and is not sent again."""
    async with running(tmp_path, reconcile={"after": "0"}) as (daemon, simulator):
        daemon.allow("send_unknown")
        await daemon.stop()
        await killed_at(daemon, step)
        ((name, before),) = daemon.rows("SELECT id, current_status FROM messages")
        await daemon.start()
        if step == "intent committed":
            await daemon.until(lambda statuses: statuses.get(name) == "queued")
        found = await daemon.message(name)
        calls = [each for each in simulator.requests if each.method == "POST"]
        expected = {
            "intent committed": ("pending", "queued", 1),
            "claimed": ("pending", "unknown", 0),
            "answered": ("pending", "unknown", 1),
            "settled": ("queued", "queued", 1),
        }
        assert expected[step] == (before, found["status"], len(calls))
        await daemon.stop()
        await daemon.start()  # nor is it sent at the next start
        assert found["status"] == (await daemon.message(name))["status"]
        assert len(calls) == sum(each.method == "POST" for each in simulator.requests)


async def test_killed_within_a_list(tmp_path: Path) -> None:
    """A list that is killed half written out is whole after the next start, each message once."""
    async with running(tmp_path, reconcile={"after": "0"}) as (daemon, _):
        daemon.allow("outbox_held")
        await daemon.operator("POST", "/outbox/hold")
        await daemon.stop()
        daemon.program = ["-m", "tests.fault.mortal", LISTED]
        await daemon.start()
        people = [f"+1415555{number:04}" for number in range(3 * STEP)]
        body = json.dumps({"to": people, "text": "hello"}).encode()
        sending = asyncio.ensure_future(daemon.api("POST", "/send?wait=0", body))
        assert -signal.SIGKILL == await daemon.ended()
        await asyncio.wait([sending])
        assert sending.exception() is not None
        there = "SELECT recipient_number FROM messages ORDER BY row"
        assert people[:STEP] == [to for (to,) in daemon.rows(there)]
        daemon.program = ["-m", "plivostatusd"]
        await daemon.start()
        await daemon.until(lambda statuses: len(statuses) == len(people))
        assert people == [to for (to,) in daemon.rows(there)]


@pytest.mark.parametrize("step", ["claimed", "answered"])
async def test_unknown_is_found_out(step: str, tmp_path: Path) -> None:
    """What a crash leaves unknown is found in Plivo's list, or stays unknown: it is not resent."""
    quick = {"after": "1s", "list_per_minute": "1000", "get_per_second": "100"}
    async with running(tmp_path, reconcile=quick) as (daemon, simulator):
        daemon.allow("send_unknown")
        await daemon.stop()
        await killed_at(daemon, step)
        ((name,),) = daemon.rows("SELECT id FROM messages")
        await daemon.start()
        if step == "answered":
            await daemon.until(lambda statuses: statuses.get(name) == "delivered")
            found = await daemon.message(name)
            assert [*simulator.messages] == [found["message_uuid"]]
            assert "inferred" in {event["source"] for event in found["events"]}
        else:
            told = {"reason": TOO_EARLY}
            while told["reason"] == TOO_EARLY:
                reply = await daemon.operator("POST", "/reconcile", {"ids": [name]})
                told = json.loads(reply.text.splitlines()[0])
            assert "unchanged" == told["result"]
            assert "GET" in {each.method for each in simulator.requests}
            assert "unknown" == (await daemon.message(name))["status"]
            assert {} == simulator.messages


async def test_settled_by_a_callback_first(tmp_path: Path) -> None:
    """A callback on its own ref settles it before anybody is asked."""
    async with running(tmp_path, reconcile={"after": "0"}) as (daemon, simulator):
        daemon.allow("send_unknown")
        await daemon.stop()
        await killed_at(daemon, "answered")
        ((name,),) = daemon.rows("SELECT id FROM messages")
        await daemon.start()
        (uuid,) = simulator.messages
        assert 200 == (await simulator.callback(uuid, "sent")).answer
        found = await daemon.message(name)
        assert ("sent", uuid) == (found["status"], found["message_uuid"])
        assert 0 == (await daemon.api("GET", "/stats")).json["outbox"]["unknown"]
