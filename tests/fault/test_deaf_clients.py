"""Clients that do not take their answers, and those who take them as they come."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from tests.fault.strangers import BEARER, Siege, besieged, connected
from tests.meta.source import FIGURES
from tests.wire import Place, Wire, spelt

pytestmark = pytest.mark.usefixtures("each_transport")

RECIPIENTS = 1_000
HELD_BYTES = 6 * 1024 * 1024
MIB_MAX = 48.0
"""What is held of answers, and what making a page of 2 MiB takes for a moment."""
STREAM = {**BEARER, "Accept": "text/event-stream"}


@asynccontextmanager
async def deaf(place: Place, data: bytes) -> AsyncIterator[None]:
    """Ask, with room for hardly any answer, and read nothing."""
    loop = asyncio.get_running_loop()
    family = socket.AF_UNIX if isinstance(place, Path) else socket.AF_INET
    with socket.socket(family) as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        await loop.sock_connect(
            sock, str(place) if isinstance(place, Path) else ("127.0.0.1", place)
        )
        asking = asyncio.ensure_future(loop.sock_sendall(sock, data))
        try:
            yield
        finally:
            asking.cancel()
            await asyncio.wait([asking])


async def fill(siege: Siege) -> None:
    """Have a thousand messages of the longest text, held, so that each has one event."""
    await siege.daemon.operator("POST", "/outbox/hold")
    numbers = [f"+1415{number}" for number in range(2_000_000, 2_000_000 + RECIPIENTS)]
    message = {"to": numbers, "text": "x" * 1_600}
    assert 202 == (await siege.daemon.api("POST", "/send?wait=0", message)).status


def asked(siege: Siege, kind: str) -> list[tuple[Place, bytes]]:
    """Give what the deaf ask for, more than the kernel holds for them."""
    _, api, unix = siege.places
    page = spelt("GET", f"/messages?limit={RECIPIENTS}", headers=BEARER)
    stream = spelt("GET", "/events", headers=STREAM)
    return {
        "page": [(place, page) for place in (api, unix)] * 5,
        "stream": [(place, stream) for place in (api, unix)] * 20,
        "pipeline": [(place, spelt("GET", "/health") * 100_000) for place in siege.places] * 3,
    }[kind]


@pytest.mark.parametrize("kind", ["page", "stream", "pipeline"])
async def test_deaf(tmp_path: Path, request: pytest.FixtureRequest, kind: str) -> None:
    """Who reads no answer is cut in time, and all of them together are not let hold much."""
    async with besieged(tmp_path, answer_s_max=1.0, bytes_max=HELD_BYTES) as siege:
        await fill(siege)
        bad = asked(siege, kind)

        def gone(now: dict[str, int]) -> bool:
            return len(bad) == sum(
                now.get(f"{name} cut {why}", 0)
                for name in ("callbacks", "api")
                for why in ("answer", "memory")
            )

        async with AsyncExitStack() as stack:
            for place, data in bad:
                await stack.enter_async_context(deaf(place, data))
            figures = await siege.good_until(siege.until(gone))
        assert ("api cut memory" in figures) == (kind == "page")
        measured = await siege.end(mib_max=MIB_MAX)
        sentences = request.config.stash.setdefault(FIGURES, [])
        sentences.append(f"test_deaf: {len(bad)} that read no {kind}; {measured}")


async def test_followers_are_left_alone(tmp_path: Path) -> None:
    """Long polls and streams outlast every bound, and are not cut to make room for anybody."""
    short = dict.fromkeys(("head_s_max", "body_s_max", "idle_s_max", "answer_s_max"), 1.0)
    async with besieged(tmp_path, connections_max=30, **short) as siege, AsyncExitStack() as stack:
        _, api, unix = siege.places
        streams = [await stack.enter_async_context(Wire.to(place)) for place in (api, unix)]
        for wire in streams:
            await wire.write(spelt("GET", "/events?after=end", headers=STREAM))
            assert 200 == (await wire.head()).status
        polls = [await stack.enter_async_context(Wire.to(place)) for place in (api, unix)]
        for wire in polls:
            await wire.write(spelt("GET", "/events?after=end&wait=30s", headers=BEARER))
        async with connected((api, unix), 50) as idle:
            await asyncio.gather(*(wire.rest() for wire in idle))
        uuid = str(uuid4())
        assert 200 == (await siege.daemon.deliver(siege.daemon.callback("sent", uuid))).status
        for wire in polls:
            assert [uuid] == [each["message_uuid"] for each in (await wire.answer()).json["events"]]
        for wire in streams:
            chunks = wire.chunks()
            while uuid.encode() not in await anext(chunks):
                pass
        figures = await siege.figures()
        assert figures["api cut room"] > 0 < figures["api cut head"]
    assert not siege.daemon.unexpected()


async def test_stop_among_strangers(tmp_path: Path) -> None:
    """A stop waits for nobody longer than the bounds say, and answers who is in work."""
    short = dict.fromkeys(("head_s_max", "body_s_max", "answer_s_max"), 1.0)
    async with besieged(tmp_path, **short) as siege, AsyncExitStack() as stack:
        await fill(siege)
        for data in (b"", b"GET", spelt("POST", "/send", b"abc", BEARER)[:-1]):
            for wire in await stack.enter_async_context(connected(siege.places, 5)):
                await wire.write(data)
        for place, data in asked(siege, "stream"):
            await stack.enter_async_context(deaf(place, data))
        (poll,) = await stack.enter_async_context(connected(siege.places[1:2], 1))
        await poll.write(spelt("GET", "/events?after=end&wait=60s", headers=BEARER))
        await siege.until(lambda now: (now["callbacks"], now["api"]) == (15, 72))
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        siege.daemon.signal(signal.SIGTERM)
        assert [] == (await poll.answer()).json["events"]
        assert 0 == await siege.daemon.ended()
        assert loop.time() - began_s < 5
