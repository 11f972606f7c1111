"""What the simulator's API refuses or leaves unanswered: outages of several kinds, and limits."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tornado.simple_httpclient import HTTPStreamClosedError

from plivostatusd.simulator import Options, Simulator
from plivostatusd.simulator.account import Failing, Outage
from plivostatusd.simulator.limits import Limit
from plivostatusd.simulator.options import AUTH_ID, AUTH_TOKEN
from tests.unit.test_simulator_api import ROOT, call, found, send, serving
from tests.wire import Wire, spelt


async def asked(simulator: Simulator) -> list[int]:
    """Send, list and get, and give the codes."""
    replies = [await send(simulator), await call(simulator), await call(simulator, f"{ROOT}x/")]
    return [reply.code for reply in replies]


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("outage", "codes"),
    [
        (Outage(502), [502, 502, 502]),
        (Outage(only="sends"), [503, 200, 404]),
        (Outage(429, only="questions"), [202, 429, 429]),
    ],
)
async def test_some_calls_or_all(outage: Outage, codes: list[int]) -> None:
    """An outage strikes every call, or sends alone, or questions alone; then all is well."""
    async with serving() as simulator:
        simulator.outage = outage
        assert codes == await asked(simulator)
        assert (codes[0] == 202) is (len(simulator.messages) == 1)
        simulator.outage = None
        assert [202, 200, 404] == await asked(simulator)


@pytest.mark.gen_test
async def test_something_else_answers() -> None:
    """A garbled answer has the outage's status and is not Plivo's JSON."""
    async with serving() as simulator:
        simulator.outage = Outage(202, failing=Failing.GARBLED)
        reply = await send(simulator)
        assert (202, "text/html") == (reply.code, reply.headers["Content-Type"].split(";")[0])
        assert b"<html>" in reply.body
        assert {} == simulator.messages


@pytest.mark.gen_test
async def test_calls_are_cut() -> None:
    """A cut call ends without an answer, takes nothing, and is noted with whom it was for."""
    async with serving() as simulator:
        simulator.outage = Outage(failing=Failing.CUT)
        with pytest.raises(HTTPStreamClosedError):
            await send(simulator)
        with pytest.raises(HTTPStreamClosedError):
            await found(simulator)
        noted = [(each.method, each.answer, each.dst) for each in simulator.requests]
        assert [("POST", None, "14155550001"), ("GET", None, "")] == noted
        assert {} == simulator.messages


@pytest.mark.gen_test
async def test_silence() -> None:
    """A call into silence is taken by nobody and held until the simulator stops, at once."""
    async with serving() as simulator:
        simulator.outage = Outage(only="sends", failing=Failing.SILENT)
        sending = asyncio.ensure_future(send(simulator))
        while "POST" not in {each.method for each in simulator.requests}:
            assert (await call(simulator)).code == 200
        assert not sending.done()
        began_s = time.monotonic()
        await simulator.stop()
        assert time.monotonic() - began_s < 1.0
        with pytest.raises(HTTPStreamClosedError):
            await sending
        assert {} == simulator.messages


@pytest.mark.gen_test
async def test_silence_ends_with_the_callers_patience() -> None:
    """A caller that gives up leaves nothing behind: the simulator is idle, and answers others."""
    async with serving() as simulator:
        simulator.outage = Outage(failing=Failing.SILENT)
        async with Wire.to(int(simulator.url.rpartition(":")[2])) as wire:
            await wire.write(spelt("GET", ROOT))
            while not simulator.requests:
                await call(simulator, "/nowhere")
            simulator.outage = None
            assert [None] == [each.answer for each in simulator.requests]
        await simulator.idle()
        assert [202, 200, 404] == await asked(simulator)


def test_a_limit_counts_any_stretch() -> None:
    """A limit lets so many through in any stretch of its length, and refusals do not count."""
    limit = Limit(3, 10.0)
    admitted = [
        now_s for now_s in (0.0, 4.0, 8.0, 9.9, 10.0, 13.9, 14.0, 14.1) if limit.admits(now_s)
    ]
    assert [0.0, 4.0, 8.0, 10.0, 14.0] == admitted


@pytest.mark.gen_test
async def test_the_list_is_limited() -> None:
    """Past 20 lists a minute the list is 429 with Retry-After, and other calls go on."""
    async with limited(speed=1.0) as simulator:
        replies = [await call(simulator) for _ in range(21)]
        assert [200] * 20 + [429] == [reply.code for reply in replies]
        assert "1" == replies[-1].headers["Retry-After"]
        assert {"api_id", "error"} == set(json.loads(replies[-1].body))
        assert [202, 429, 404] == await asked(simulator)


@pytest.mark.gen_test
async def test_a_limit_ends() -> None:
    """A limit is as short as the simulator is fast: a moment later the list is there again."""
    async with limited(speed=600.0) as simulator:
        codes = [(await call(simulator)).code for _ in range(20)]
        while (await call(simulator)).code == 429:
            codes.append(429)
        assert {200} == set(codes[:20])
        assert [200] == [each.answer for each in simulator.requests[-1:]]


@pytest.mark.gen_test
async def test_all_calls_are_limited() -> None:
    """Past 300 calls in 5 s every call is 429, and a send that meets it is not taken."""
    async with limited(speed=0.1) as simulator:
        port = int(simulator.url.rpartition(":")[2])
        async with Wire.to(port) as wire:
            headers = {"Authorization": basic()}
            codes = [(await wire.ask("GET", f"{ROOT}x/", None, headers)).status for _ in range(300)]
        assert [404] * 300 == codes
        assert [429, 429, 429] == await asked(simulator)
        assert {} == simulator.messages


@pytest.mark.gen_test
async def test_no_limits_by_default() -> None:
    """Unless asked for, no limit holds anybody up."""
    async with serving() as simulator:
        assert [200] * 25 == [(await call(simulator)).code for _ in range(25)]


@asynccontextmanager
async def limited(speed: float) -> AsyncIterator[Simulator]:
    """Run a simulator that enforces Plivo's limits."""
    simulator = Simulator(Options(port=0, speed=speed, limits=True))
    await simulator.start()
    try:
        yield simulator
    finally:
        await simulator.stop()


def basic() -> str:
    """Spell the account's credentials."""
    return "Basic " + base64.b64encode(f"{AUTH_ID}:{AUTH_TOKEN}".encode()).decode()
