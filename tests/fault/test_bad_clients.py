"""Clients that are slow, idle, many or rude: they are cut, and the good ones hear nothing of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from tests.fault.strangers import BEARER, TO, besieged, connected, spelt_callback, trickle
from tests.meta.source import FIGURES
from tests.wire import Place, Wire, spelt

pytestmark = pytest.mark.usefixtures("each_transport")

IDLE = 1_000
SLOW = 80
CLOCK_S = 0.001
"""How much sooner a bound may end: uvloop counts time from whole milliseconds on."""
MIB_MAX = 32.0
"""What strangers of these tests may cost, all together."""


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Leave a sentence for the end of the run."""
    sentences = request.config.stash.setdefault(FIGURES, [])
    return lambda sentence: sentences.append(f"{request.node.originalname}: {sentence}")


async def test_slow_loris(tmp_path: Path, figure: Callable[[str], None]) -> None:
    """Heads and bodies that come byte by byte are cut in time, first heads and later ones alike."""
    # The good client keeps within it, too, in a process that plays a thousand others on busy cores.
    bound_s = 3.0
    least_s = bound_s - CLOCK_S
    async with besieged(tmp_path, head_s_max=bound_s, body_s_max=bound_s) as siege:
        public, api, unix = siege.places
        body = {
            place: spelt("POST", path, b"x" * 999, BEARER)[:-998]
            for place, path in ((public, "/plivo/status"), (api, "/send"), (unix, "/send"))
        }
        heads = (b"P", b"POST /send HTTP/1.1\r\nX: ", spelt("GET", "/health") + b"GET /")
        bad = [
            trickle(place, first)
            for place in siege.places
            for first in (*heads, body[place])
            for _ in range(SLOW)
        ]
        ends = await siege.good_until(asyncio.gather(*bad))
        assert [] == [took_s for took_s, _ in ends if not least_s <= took_s < bound_s + 2]
        assert {b"", b"200"} == {said[9:12] for _, said in ends}
        figures = await siege.figures()
        cut = {name: count for name, count in figures.items() if "cut" in name}
        listed = {"callbacks cut head": 3, "callbacks cut body": 1}
        listed |= {"api cut head": 6, "api cut body": 2}
        assert {name: count * SLOW for name, count in listed.items()} == cut
        longest_s = max(took_s for took_s, _ in ends)
        measured = await siege.end(mib_max=MIB_MAX)
        figure(f"{len(ends)} cut after {bound_s} to {longest_s:.1f} s; {measured}")


async def test_idle_connections(tmp_path: Path, figure: Callable[[str], None]) -> None:
    """A thousand idle connections on each listener are held, and cost nobody anything."""
    async with besieged(tmp_path) as siege:
        async with connected(siege.places[:2], IDLE) as wires:
            await siege.until(lambda now: (now["callbacks"], now["api"]) == (IDLE, IDLE + 1))
            for _ in range(10):
                await siege.good()
            for wire in wires[::100]:
                assert 200 == (await wire.ask("GET", "/health")).status
        figure(f"{2 * IDLE} idle; {await siege.end(mib_max=MIB_MAX)}")


async def test_more_than_there_is_room_for(tmp_path: Path, figure: Callable[[str], None]) -> None:
    """Past the bound the longest idle go, first come first gone; nothing is logged of it."""
    most = 100
    async with besieged(tmp_path, connections_max=most) as siege:
        public, api, _ = siege.places
        async with connected((public, api), most) as old:
            await siege.good_until(siege.until(lambda now: now["callbacks"] == most))
            async with connected((public, api), most) as new:
                for wire in old:
                    assert b"" == await wire.rest()
                await siege.good()
                assert 200 == (await new[-1].ask("GET", "/health")).status
                figures = await siege.figures()
                assert figures["callbacks"] <= most >= figures["api"]
                assert figures["callbacks cut room"] >= most <= figures["api cut room"]
        figure(f"{4 * most} came, {2 * most} may stay; {await siege.end(mib_max=MIB_MAX)}")


async def test_half_closed(tmp_path: Path) -> None:
    """Who sends no more after its request, or within it, is answered or cut, and held no longer."""
    async with besieged(tmp_path) as siege:
        daemon = siege.daemon
        public, api, unix = siege.places
        uuids = [str(uuid4()) for _ in range(20)]
        whole = [(public, spelt_callback(daemon, uuid)) for uuid in uuids]
        sends = {"to": TO, "text": "hello"}
        whole += [(api, spelt("POST", "/send?wait=0", sends, BEARER))] * 10
        health = [(place, spelt("GET", "/health")) for place in siege.places] * 5
        polls = [
            (place, spelt("GET", "/events?after=end&wait=60s", headers=BEARER))
            for place in (api, unix)
        ]
        halves = [
            (place, data[:length]) for place, data in whole for length in (0, 9, len(data) - 1)
        ]

        async def half(place: Place, data: bytes) -> bytes:
            async with Wire.to(place) as wire:
                await wire.write(data)
                wire.end()
                return await wire.rest()

        async def said(to: list[tuple[Place, bytes]]) -> set[bytes]:
            return {word[9:12] for word in await asyncio.gather(*(half(*each) for each in to))}

        assert {b""} == await siege.good_until(said(halves + polls))
        assert await siege.good_until(said(health)) <= {b"", b"200"}
        assert await siege.good_until(said(whole)) <= {b"", b"200", b"202"}
        for uuid in uuids:
            assert "delivered" == (await daemon.message(uuid))["status"]
        await siege.end(mib_max=MIB_MAX)


async def test_pipelined(tmp_path: Path, chance: random.Random) -> None:
    """Many requests in one segment are answered each, in their order, and all of them recorded."""
    async with besieged(tmp_path) as siege:
        public, api, _ = siege.places
        uuids = [str(uuid4()) for _ in range(200)]
        reports = [(200, spelt_callback(siege.daemon, uuid)) for uuid in uuids]
        others = [
            (404, spelt("GET", "/nowhere")),
            (405, spelt("PUT", "/plivo/status", b"abc")),
            (413, spelt("POST", "/plivo/status", b"x" * 20_000)),
            (200, spelt("GET", "/health")),
        ]
        asked = [
            (202, spelt("POST", "/send?wait=0", {"to": TO, "text": "hello"}, BEARER)),
            (200, spelt("GET", "/messages?limit=3", headers=BEARER)),
            (404, spelt("GET", "/messages/none", headers=BEARER)),
            (400, spelt("POST", "/send", b"{", BEARER)),
        ]
        siege.daemon.allow("callback_refused")

        async def answered(place: Place, requests: list[tuple[int, bytes]]) -> list[int]:
            async with Wire.to(place) as wire:
                await wire.write(b"".join(data for _, data in requests))
                return [(await wire.answer()).status for _ in requests]

        mixed = reports + chance.choices(others, k=200)
        chance.shuffle(mixed)
        for place, requests in ((public, mixed), (api, chance.choices(asked, k=100))):
            expected = [status for status, _ in requests]
            assert expected == await siege.good_until(answered(place, requests))
        for uuid in uuids:
            assert "delivered" == (await siege.daemon.message(uuid))["status"]
        await siege.end(mib_max=MIB_MAX)


def floods() -> dict[str, bytes]:
    """Give heads that are too much."""
    first = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
    return {
        "many": first + b"".join(b"X-%d: y\r\n" % n for n in range(10_000)) + b"\r\n",
        "one name": first + b"X: y\r\n" * 10_000 + b"\r\n",
        "long value": first + b"X: " + b"y" * 4_000_000 + b"\r\n\r\n",
        "long name": first + b"X" * 4_000_000,
        "long target": b"GET /" + b"x" * 4_000_000,
        "no line": b"x" * 4_000_000,
        "blank lines": b"\r\n" * 10_000,
        "as many as fit": first + b"a:\r\n" * 4_000 + b"\r\n",
        "names": first + b"".join(b"a%x:\r\n" % n for n in range(2_000)) + b"\r\n",
    }


async def test_header_floods(tmp_path: Path, figure: Callable[[str], None]) -> None:
    """Heads of too many lines or bytes are cut off before they are held, a hundred at once too."""

    async def said(place: Place, data: bytes) -> bytes:
        async with Wire.to(place) as wire:
            try:
                await wire.write(data)
            except ConnectionError:
                return b""
            return await wire.rest()

    async with besieged(tmp_path) as siege:
        for name, data in floods().items():
            bad = [said(place, data) for place in siege.places for _ in range(35)]
            answers = await siege.good_until(asyncio.gather(*bad))
            assert {answer[:12] for answer in answers} <= {b"", b"HTTP/1.1 400"}, name
        figure(f"{len(floods()) * 105} floods; {await siege.end(mib_max=MIB_MAX)}")
