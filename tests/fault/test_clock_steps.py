"""The wall clock is set back and forth under a running daemon, and between two lives of one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from plivostatusd.simulator import Simulator, signed_request
from plivostatusd.simulator.account import Outage
from plivostatusd.simulator.options import AUTH_TOKEN
from tests.acceptance.daemon import Daemon, running
from tests.fault.wall_clock import WallClock

TO = "+14155550006"
DAY_S = 86_400
STEPS = [3 * DAY_S, -3 * DAY_S]
FORTH_AND_BACK = ["forth", "back"]


@asynccontextmanager
async def with_clock(
    folder: Path, **changed: Any
) -> AsyncIterator[tuple[Daemon, Simulator, WallClock]]:
    """Run a daemon whose wall clock the test sets."""
    clock = WallClock(folder)
    changed.setdefault("reconcile", {"after": "0"})
    async with running(folder, program=clock.program, **changed) as (daemon, simulator):
        yield daemon, simulator, clock


async def limited(daemon: Daemon, simulator: Simulator) -> str:
    """Have one send put off by Plivo, to be tried again soon; give its id."""
    simulator.outage = Outage(429)
    name = str((await daemon.send(TO, wait="0")).json["id"])
    await daemon.line("send_postponed", message_id=name)
    return name


@pytest.mark.parametrize("step_s", STEPS, ids=FORTH_AND_BACK)
async def test_a_send_that_is_tried_again(step_s: int, tmp_path: Path) -> None:
    """A step neither lets the time run out in which a send is tried again, nor delays it."""
    async with with_clock(tmp_path) as (daemon, simulator, clock):
        name = await limited(daemon, simulator)
        clock.step_to(step_s)
        daemon.forget_lines()
        await daemon.line("send_postponed", message_id=name)
        simulator.outage = None
        await daemon.until(lambda statuses: statuses.get(name) == "queued")


@pytest.mark.parametrize("step_s", STEPS, ids=FORTH_AND_BACK)
async def test_a_step_before_a_restart(step_s: int, tmp_path: Path) -> None:
    """What waits over a step and a restart is neither too old to be sent nor sent too late."""
    quick = {"retry_for": "20s", "per_second": "500", "from": "+14155551212"}
    async with with_clock(tmp_path, send=quick) as (daemon, simulator, clock):
        daemon.allow("outbox_held")
        await daemon.operator("POST", "/outbox/hold")
        name = str((await daemon.send(TO, wait="0")).json["id"])
        clock.step_to(step_s)
        await daemon.stop()  # its last heartbeat tells how far the clocks have come apart
        await daemon.start()
        entered = await daemon.line("store_entered")
        assert entered["away_seconds"] < 20
        await daemon.operator("POST", "/outbox/release")
        await daemon.until(lambda statuses: statuses.get(name) == "queued")
        assert 1 == len(simulator.messages)


async def test_a_step_while_nobody_is_there(tmp_path: Path) -> None:
    """A clock that is days ahead at a start looks like an absence: sends are held, not refused."""
    async with with_clock(tmp_path) as (daemon, simulator, clock):
        daemon.allow("outbox_held")
        name = await limited(daemon, simulator)
        key = {"Idempotency-Key": "once"}
        simulator.outage = None
        body = {"to": TO, "text": "hello"}
        first = (await daemon.api("POST", "/send", body, key)).json["id"]
        await daemon.until(lambda statuses: statuses.get(first) == "queued")
        simulator.outage = Outage(429)
        other = str((await daemon.send(TO, wait="0")).json["id"])
        await daemon.stop()
        clock.step_to(3 * DAY_S)
        simulator.outage = None
        await daemon.start()
        assert "longer than send.retry_for" in (await daemon.line("outbox_held"))["reason"]
        assert "pending" == (await daemon.message(other))["status"]
        assert "upkeep_postponed" in {line["event"] for line in daemon.lines}
        again = await daemon.api("POST", "/send", body, key)
        assert (202, first) == (again.status, again.json["id"])  # its key has not grown old either
        await daemon.operator("POST", "/outbox/release")
        ended = {name: "queued", other: "queued"}
        await daemon.until(lambda statuses: ended.items() <= statuses.items())


async def test_order_is_the_order_of_commits(tmp_path: Path) -> None:
    """Events come in the order in which they were committed, whatever the clock said then."""
    async with with_clock(tmp_path) as (daemon, _, clock):
        uuid = str(uuid4())
        for status, step_s in (("queued", 0), ("sent", DAY_S), ("delivered", -DAY_S)):
            clock.step_to(step_s)
            assert 200 == (await daemon.deliver(daemon.callback(status, uuid))).status
        page = (await daemon.api("GET", "/events")).json["events"]
        assert ["queued", "sent", "delivered"] == [each["event"]["status"] for each in page]
        found = await daemon.message(uuid)
        assert ("delivered", False) == (found["status"], found["conflict"])


async def test_plivos_own_times_leap(tmp_path: Path) -> None:
    """Times of Plivo's that make no sense beside each other change no message's fate."""
    async with running(tmp_path, reconcile={"after": "0"}) as (daemon, _):
        uuid = str(uuid4())
        for status, field, time in (
            ("delivered", "DeliveryReportTime", "1970-01-02 00:00:00.000000"),
            ("sent", "SentTime", "2099-01-01 00:00:00.000000"),
            ("queued", "QueuedTime", "2099-06-01 00:00:00.000000"),
        ):
            fields = {"MessageUUID": uuid, "Status": status, "To": "14155552323", field: time}
            url = f"{daemon.public_url}/plivo/status"
            request = signed_request("POST", url, fields, AUTH_TOKEN)
            assert 200 == (await daemon.deliver(request)).status
        found = await daemon.message(uuid)
        assert ("delivered", "1970-01-02T00:00:00Z") == (
            found["status"],
            found["status_timestamp"],
        )
        metrics = (await daemon.api("GET", "/metrics")).text
        assert "plivostatusd_delivery_seconds_sum -" not in metrics
