"""Descriptors run out: what is connected is served on, nothing turns in a circle, and it passes."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from plivostatusd.web import access
from tests.fault.strangers import (
    BEARER,
    PROMPT_S,
    TO,
    Siege,
    besieged,
    connected,
    spelt_callback,
)
from tests.fault.test_spool_process import no_descriptor_left
from tests.wire import Answer, Wire, ask

FEW = 200
WATCHED_S = 1.0
CPU_SHARE_MAX = 0.25
LOUD_LINES_MAX = 12


@contextmanager
def limited(siege: Siege, descriptors: int) -> Iterator[None]:
    """Let the daemon have so many descriptors, as if others had taken the rest."""
    pid = siege.daemon.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


async def test_small_limit(tmp_path: Path) -> None:
    """With few descriptors the listeners share what the rest of the house leaves over."""
    async with besieged(tmp_path, descriptors=FEW) as siege:
        siege.daemon.allow("descriptors_few", "spool_entered", "batch_failed")
        public, api, _ = siege.places
        line = await siege.daemon.line("descriptors_few")
        most = line["connections_max"]
        assert (FEW, True) == (line["allowed"], 2 * most < FEW - 60)
        async with connected((public, api), FEW):
            await siege.until(lambda now: now["callbacks"] == most)
            await siege.good()
            assert siege.process.descriptors < FEW - 40
            with siege.daemon.locked_store():
                callbacks = [siege.daemon.callback("sent", str(uuid4())) for _ in range(5)]
                replies = await asyncio.gather(*map(siege.daemon.deliver, callbacks))
            assert [200] * 5 == [reply.status for reply in replies]
            await siege.daemon.line("spool_drained")
        assert [] == [line for line in siege.daemon.lines if line["event"] == "accepting_paused"]
        await siege.end(mib_max=16)


async def report(wire: Wire, siege: Siege) -> str:
    """Report a message over an open connection; give its name."""
    uuid = str(uuid4())
    async with asyncio.timeout(PROMPT_S):
        await wire.write(spelt_callback(siege.daemon, uuid))
        assert 200 == (await wire.answer()).status
    return uuid


async def send(wire: Wire) -> Answer:
    """Send over an open connection."""
    async with asyncio.timeout(PROMPT_S):
        return await wire.ask("POST", "/send?wait=0", {"to": TO, "text": "hello"}, BEARER)


def is_sent(name: str, statuses: dict[str, str]) -> bool:
    """Say whether a message went out."""
    return statuses.get(name) == "sent"


async def test_used_up_by_connections(tmp_path: Path) -> None:
    """When accepting takes the last descriptor some are given back, and all goes on with fewer."""
    async with besieged(tmp_path, calm_s=0.5, pause_s=0.05) as siege:
        siege.daemon.allow("accepting_paused")
        public, api, _ = siege.places
        async with connected((public, api), 100):
            await siege.until(lambda now: (now["callbacks"], now["api"]) == (100, 101))
            with limited(siege, siege.process.descriptors + 20):
                async with connected((public, api), 100) as more:
                    await siege.daemon.line("accepting_paused")
                    for _ in range(5):
                        await siege.good()
                    assert 200 == (await more[-2].ask("GET", "/health")).status
                await siege.daemon.line("accepting_resumed")
        loud = [line for line in siege.daemon.lines if line["event"] == "accepting_paused"]
        assert all("prlimit" in line["hint"] and "Too many" in line["reason"] for line in loud)
        assert 1 <= len(loud) <= LOUD_LINES_MAX
        await siege.end(mib_max=16)


async def test_used_up_by_others(tmp_path: Path) -> None:
    """While nothing can be opened, open connections are served, and no processor time burns."""
    async with besieged(tmp_path, calm_s=0.5, pause_s=0.05) as siege:
        daemon = siege.daemon
        daemon.allow("accepting_paused", "spool_", "batch_failed")
        public, api, unix = siege.places
        async with connected((public, api), 20), Wire.to(public) as plivo, Wire.to(api) as curl:
            reported = [await report(plivo, siege)]
            assert 202 == (await send(curl)).status
            before = len(daemon.lines)
            with limited(siege, 10):
                places = (public, api, unix)
                shut_out = [asyncio.ensure_future(ask(each, "GET", "/health")) for each in places]
                await daemon.line("accepting_paused", listener="callbacks")
                await daemon.line("accepting_paused", listener="api")
                burnt_s = siege.process.cpu_s
                assert not (await asyncio.wait(shut_out, timeout=WATCHED_S))[0]
                assert siege.process.cpu_s - burnt_s <= WATCHED_S * CPU_SHARE_MAX
                reported += [await report(plivo, siege) for _ in range(20)]
                sends = [await send(curl) for _ in range(3)]
                with daemon.locked_store():
                    reported += [await report(plivo, siege) for _ in range(3)]
                    await daemon.line("spool_entered")
            answers = await asyncio.gather(*shut_out)
            assert [200] * 3 == [answer.status for answer in answers]
            await daemon.line("accepting_resumed", listener="callbacks")
            await daemon.line("accepting_resumed", listener="api")
            await daemon.line("spool_drained")
            assert [202] * 3 == [answer.status for answer in sends]
            await siege.good()
        for uuid in reported:
            assert "delivered" == (await daemon.message(uuid))["status"]
        loud = [line["event"] for line in daemon.lines[before:] if line["level"] != "info"]
        assert 2 <= loud.count("accepting_paused") <= 4
        assert len([event for event in loud if "spool" not in event]) <= LOUD_LINES_MAX, loud
        for reply in sends:
            await daemon.until(partial(is_sent, reply.json["id"]))
        await siege.end(mib_max=16)


def test_a_user_that_cannot_be_named() -> None:
    """Without a descriptor a user has no other name than with one, but none, and is told 503."""
    access.user.cache_clear()
    with no_descriptor_left(), pytest.raises(access.Unnamed) as refused:
        access.user(0)
    assert (503, 5) == (refused.value.http_status, refused.value.retry_after_s)
    assert "unix:root" == access.user(0).name
