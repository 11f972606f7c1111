"""
What tests of bad clients share: a daemon that loses patience soon, the bad, and the good meanwhile.

The good client's measure is `PROMPT_S`: within it a signed callback is 200 and found by the API,
and a send is recorded, whatever strangers do.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import pytest

from plivostatusd.host.descriptors import raise_limit
from plivostatusd.simulator import Simulator
from tests.acceptance.daemon import API_TOKEN, Daemon, running
from tests.wire import Place, Wire, spelt

T = TypeVar("T")
PROMPT_S = 2.0
TO = "+14155550005"
BEARER = {"Authorization": f"Bearer {API_TOKEN}"}
STEP_S = 0.1
DESCRIPTORS = 6_000
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_METRIC = re.compile(
    r"^plivostatusd_(connections|connections_cut_total)\{(.*)\} (\d+)", re.MULTILINE
)


@dataclass(frozen=True)
class Process:
    """What the kernel says of the daemon."""

    pid: int

    @property
    def rss_mib(self) -> float:
        """Memory that is resident."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found
        return int(found[1]) / 1024

    @property
    def descriptors(self) -> int:
        """How many are open."""
        return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())

    @property
    def cpu_s(self) -> float:
        """Processor time of all its threads so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


class Siege:
    """A daemon, what it was like before the strangers came, and the good client's experience."""

    def __init__(self, daemon: Daemon, simulator: Simulator) -> None:
        self.daemon = daemon
        self.process = Process(daemon.pid)
        self.places: tuple[Place, ...] = (daemon.public_port, daemon.api_port, daemon.api_socket)
        self.rounds = 0
        self.worst_s = 0.0
        self.most_mib = 0.0
        self._simulator = simulator
        self._before = (0, 0.0)

    async def begin(self) -> None:
        """Have everything in use once, then note what is open and held."""
        for _ in range(5):
            await self.good()
        await self.daemon.until(lambda statuses: list(statuses.values()).count("sent") == 5)
        await self.settled()
        self._before = (self.process.descriptors, self.process.rss_mib)
        self.rounds, self.worst_s = 0, 0.0

    async def good(self) -> None:
        """Report a message and send one: each has to be done within the time."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        uuid = str(uuid4())
        async with asyncio.timeout(PROMPT_S):
            reply = await self.daemon.deliver(self.daemon.callback("delivered", uuid))
            assert (200, "ok\n") == (reply.status, reply.text)
            assert "delivered" == (await self.daemon.message(uuid))["status"]
        async with asyncio.timeout(PROMPT_S):
            assert 202 == (await self.daemon.send(TO, wait="0")).status
        self.worst_s = max(self.worst_s, loop.time() - began_s)
        self.most_mib = max(self.most_mib, self.process.rss_mib)
        self.rounds += 1

    async def good_until(self, bad: Awaitable[T]) -> T:
        """Go on being good, once at least, until all the bad has come to its end."""
        ending = asyncio.ensure_future(bad)
        try:
            await self.good()
            while not ending.done():
                await self.good()
            return ending.result()
        finally:
            ending.cancel()
            # What comes of it is heard here, or the log of some later test would complain of it.
            await asyncio.gather(ending, return_exceptions=True)

    async def figures(self) -> dict[str, int]:
        """Give the metrics of connections, such as `api`, `api cut head`."""
        text = (await self.daemon.api("GET", "/metrics")).text
        found = {}
        for name, labels, value in _METRIC.findall(text):
            words = re.findall(r'"([a-z]+)"', labels)
            found[" cut ".join(words) if name.endswith("total") else words[0]] = int(value)
        return found

    async def until(self, reached: Callable[[dict[str, int]], bool]) -> dict[str, int]:
        """Ask for the figures until they are as *reached* wants them."""
        while not reached(figures := await self.figures()):
            pass
        return figures

    async def settled(self) -> None:
        """Wait until nobody is connected but the one that asks."""
        await self._simulator.idle()
        await self.until(lambda now: (now["callbacks"], now["api"]) == (0, 1))

    async def end(self, *, mib_max: float) -> str:
        """See that nothing was left behind, and put the siege into a sentence."""
        await self.settled()
        before, before_mib = self._before
        after_mib = self.process.rss_mib
        try:
            async with asyncio.timeout(PROMPT_S):
                # One more may be that of whoever asked last, closed at this end alone so far.
                await self.until(lambda _: self.process.descriptors <= before + 1)
        except TimeoutError:
            pytest.fail(f"{before} descriptors before, {self.process.descriptors} after")
        assert max(self.most_mib, after_mib) - before_mib <= mib_max
        return (
            f"{self.rounds} rounds of the good client, {self.worst_s * 1000:.0f} ms at worst; "
            f"memory {before_mib:.0f}, {self.most_mib:.0f} at most, {after_mib:.0f} MiB after; "
            f"{before} descriptors before and after"
        )


@asynccontextmanager
async def besieged(folder: Path, **bounds: float) -> AsyncIterator[Siege]:
    """Run a daemon with other bounds; one connection to Plivo, so that descriptors can be told."""
    raise_limit(DESCRIPTORS)  # of this process: the strangers are in it
    program = ["-m", "tests.fault.impatient", json.dumps(bounds)]
    plivo = {"concurrency": "1"}
    async with running(folder, speed=500, program=program, plivo=plivo) as (daemon, simulator):
        siege = Siege(daemon, simulator)
        await siege.begin()
        yield siege


async def trickle(place: Place, first: bytes, more: bytes = b"x") -> tuple[float, bytes]:
    """Send *first*, then *more* again and again; give how long that went, and what was said."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    async with Wire.to(place) as wire:
        await wire.write(first)
        said = asyncio.ensure_future(wire.rest())
        while not said.done():
            with suppress(ConnectionError):
                await wire.write(more)
            await asyncio.wait([said], timeout=STEP_S)
        return loop.time() - began_s, said.result()


@asynccontextmanager
async def connected(places: Sequence[Place], each: int) -> AsyncIterator[list[Wire]]:
    """Connect so often to each of *places*, in turn."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(Wire.to(place)) for _ in range(each) for place in places
        ]


def spelt_callback(daemon: Daemon, uuid: str = "", path: str = "/plivo/status") -> bytes:
    """Spell a signed callback as it goes on the wire."""
    request = daemon.callback("delivered", uuid or str(uuid4()), path)
    return spelt("POST", request.target, request.body, request.headers)
