"""The whole daemon while its store is locked or damaged: callbacks are kept, sends refused."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.acceptance.daemon import running
from tests.fault.store_faults import (
    WHILE_AWAY,
    corrupt,
    deliver,
    digests,
    in_spool,
    recovered,
    refused_send,
    stored,
)

LOCK_S = 60.0


async def test_locked_at_the_start(tmp_path: Path) -> None:
    """While another program holds the store, the daemon starts and keeps callbacks in the spool."""
    async with running(tmp_path) as (daemon, simulator):
        await daemon.stop()
        daemon.allow(*WHILE_AWAY)
        with daemon.locked_store():
            await daemon.start()
            uuids = [await deliver(daemon) for _ in range(3)]
            assert "store-unavailable" in await refused_send(daemon)
        await recovered(daemon, time.monotonic())
        assert sorted(uuids) == stored(daemon)
        reply = await daemon.send("+14155550001")
        assert (202, "queued") == (reply.status, reply.json["status"])
        await simulator.idle()


@pytest.mark.takes(60)
@pytest.mark.timeout(120)
@pytest.mark.gen_test(timeout=100)
async def test_a_lock_of_a_minute(tmp_path: Path) -> None:
    """For a minute another process holds the write lock: each callback is answered 200 in time."""
    async with running(tmp_path) as (daemon, _):
        daemon.allow(*WHILE_AWAY)
        uuids = []
        with daemon.locked_store():
            ends_s = time.monotonic() + LOCK_S
            while time.monotonic() < ends_s:
                uuids += await asyncio.gather(*(deliver(daemon) for _ in range(4)))
                await asyncio.sleep(0.5)
        await recovered(daemon, time.monotonic())
        assert sorted(uuids) == stored(daemon)
        for event in ("spool_entered", "spool_drained", "batch_failed", "store_recovered"):
            assert 1 == sum(line["event"] == event for line in daemon.lines)


async def test_no_database_at_the_start(tmp_path: Path) -> None:
    """A store that is garbage is left as it is, named with what repairs it, and stood in for."""
    async with running(tmp_path) as (daemon, _):
        await daemon.stop()
        daemon.allow(*WHILE_AWAY)
        daemon.store_path.write_bytes(b"This is no database, and longer than a header." * 200)
        before = digests(daemon)
        await daemon.start()
        uuid = await deliver(daemon)
        assert "store-damaged" in await refused_send(daemon)
        assert "--restore" in (await daemon.line("store_damaged"))["hint"]
        await daemon.stop()
        assert before == digests(daemon)
        daemon.store_path.unlink()
        await daemon.start()
        await daemon.line("spool_drained")
        assert [uuid] == stored(daemon)


async def test_a_corrupted_page(tmp_path: Path) -> None:
    """Damage that comes to light at work stops sends, not callbacks, and is not made worse."""
    async with running(tmp_path) as (daemon, _):
        await daemon.stop()
        daemon.allow(*WHILE_AWAY)
        corrupt(daemon.store_path, "events")
        before = digests(daemon)
        await daemon.start()
        first = await deliver(daemon)
        await daemon.line("store_damaged")
        second = await deliver(daemon)
        assert "store-damaged" in await refused_send(daemon)
        await daemon.stop()
        assert before["status.db"] == digests(daemon)["status.db"]
        assert sorted([first, second]) == in_spool(daemon)


async def test_damage_found_by_the_look_at_the_start(tmp_path: Path) -> None:
    """After a crash the store is looked over; damage that no callback would meet is found."""
    async with running(tmp_path) as (daemon, _):
        await deliver(daemon)
        await daemon.kill()
        daemon.allow(*WHILE_AWAY)
        corrupt(daemon.store_path, "idempotency")
        await daemon.start()
        assert (await daemon.line("store_inspected"))["finished"]
        await deliver(daemon)
        await daemon.line("store_damaged")
        assert "store-damaged" in await refused_send(daemon)


async def test_no_look_after_a_clean_stop(tmp_path: Path) -> None:
    """After a stop in good order the store is not looked over."""
    async with running(tmp_path) as (daemon, _):
        await daemon.stop()
        await daemon.start()
        assert (await daemon.line("store_entered"))["last_stop_clean"]
        await daemon.stop()
        assert not any(line["event"] == "store_inspected" for line in daemon.lines)
