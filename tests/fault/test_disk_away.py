"""The whole daemon while its disk is full, or lets nothing be written any more."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from tests.acceptance.daemon import Daemon, running
from tests.fault import small_disk
from tests.fault.store_faults import (
    ANSWER_S_MAX,
    WHILE_AWAY,
    deliver,
    in_spool,
    recovered,
    refused_send,
    stored,
)

MEBIBYTES = 64
FULL = ("callback_refused", *WHILE_AWAY)


async def answers(daemon: Daemon, count: int) -> tuple[list[str], int]:
    """Report *count* messages at once; the UUIDs answered 200, and how many were put off."""
    began_s = time.monotonic()
    uuids = [str(uuid4()) for _ in range(count)]
    replies = await asyncio.gather(
        *(daemon.deliver(daemon.callback("delivered", uuid)) for uuid in uuids)
    )
    assert time.monotonic() - began_s < ANSWER_S_MAX
    assert {reply.status for reply in replies} <= {200, 503}
    kept = [uuid for uuid, reply in zip(uuids, replies, strict=True) if reply.status == 200]
    return kept, count - len(kept)


@pytest.mark.parametrize("kind", small_disk.KINDS)
async def test_a_full_disk(kind: str, tmp_path: Path) -> None:
    """On a full disk the reserve takes callbacks, then 503; with room again all is in the store."""
    (tmp_path / "etc").mkdir()
    with small_disk.mounted(kind, tmp_path / kind, mebibytes=MEBIBYTES) as disk:
        store = {"path": str(disk / "status.db"), "spool_reserve": "64KiB"}
        async with running(tmp_path / "etc", store=store) as (daemon, _):
            daemon.allow(*FULL)
            kept = [await deliver(daemon)]
            filler = small_disk.fill(disk)
            kept += [await deliver(daemon) for _ in range(5)]
            assert "store-unavailable" in await refused_send(daemon)
            assert "MiB left" in (await daemon.operator("GET", "/ready")).text
            put_off = 0
            while not put_off:
                more, put_off = await answers(daemon, 40)
                kept += more
            assert 200 == (await daemon.operator("GET", "/health")).status
            filler.unlink()
            await recovered(daemon, time.monotonic())
            kept.append(await deliver(daemon))
            assert set(kept) <= set(stored(daemon))
            assert len(set(stored(daemon))) == len(stored(daemon))
            assert 202 == (await daemon.send("+14155550006")).status
            await daemon.stop()


async def test_full_at_the_start(tmp_path: Path) -> None:
    """On a disk that is full already the daemon starts, with what the reserve can take."""
    (tmp_path / "etc").mkdir()
    with small_disk.mounted("ext4", tmp_path / "ext4", mebibytes=MEBIBYTES) as disk:
        store = {"path": str(disk / "status.db"), "spool_reserve": "256KiB"}
        async with running(tmp_path / "etc", store=store) as (daemon, _):
            daemon.allow(*FULL)
            kept = [await deliver(daemon)]
            await daemon.stop()
            filler = small_disk.fill(disk)
            await daemon.start()
            kept += [await deliver(daemon) for _ in range(3)]
            filler.unlink()
            await recovered(daemon, time.monotonic())
            assert sorted(kept) == stored(daemon)
            await daemon.stop()


async def test_a_disk_that_goes_read_only(tmp_path: Path) -> None:
    """When the kernel lets nothing be written any more, each callback hears 503 in time."""
    (tmp_path / "etc").mkdir()
    with small_disk.mounted("ext4", tmp_path / "ext4", mebibytes=MEBIBYTES) as disk:
        store = {"path": str(disk / "status.db")}
        async with running(tmp_path / "etc", store=store) as (daemon, _):
            daemon.allow(*FULL, "spool_drain_failed", "heartbeat_failed", "outcomes_lost")
            kept = [await deliver(daemon) for _ in range(3)]
            small_disk.break_down(disk)
            for _ in range(3):
                more, put_off = await answers(daemon, 5)
                assert ([], 5) == (more, put_off)
            await refused_send(daemon)
            assert 200 == (await daemon.operator("GET", "/health")).status
            await daemon.kill()
            small_disk.restart(disk)
            await daemon.start()
            assert sorted(kept) == stored(daemon)
            kept.append(await deliver(daemon))
            await daemon.stop()
            assert sorted(kept) == stored(daemon)


@contextmanager
def read_only(file: Path) -> Iterator[None]:
    """Lay a read-only mount over one file; it may be written again afterwards."""
    _mount("--bind", str(file), str(file))
    try:
        _mount("-o", "remount,bind,ro", str(file))
        yield
        _mount("-o", "remount,bind,rw", str(file))
    finally:
        subprocess.run(["umount", "--lazy", str(file)], check=True)


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


async def test_a_read_only_store(tmp_path: Path) -> None:
    """A store that may only be read at the start is stood in for until it may be written."""
    async with running(tmp_path) as (daemon, _):
        daemon.allow(*FULL)
        kept = [await deliver(daemon)]
        await daemon.stop()
        with read_only(daemon.store_path):
            await daemon.start()
            kept += [await deliver(daemon) for _ in range(3)]
            await refused_send(daemon)
            assert sorted(kept[1:]) == in_spool(daemon)
        await recovered(daemon, time.monotonic())
        assert sorted(kept) == stored(daemon)


async def test_without_a_spool_no_start(tmp_path: Path) -> None:
    """Without anywhere to keep callbacks it does not start, and says what to type."""
    async with running(tmp_path) as (daemon, _):
        await daemon.stop()
        spool = tmp_path / "spool"
        for file in spool.iterdir():
            file.unlink()
        spool.rmdir()
        spool.write_text("no folder")
        daemon.allow("start_refused")
        await daemon.launch()
        assert 69 == await daemon.ended()
        assert "has to be a folder. Type: mv" in daemon.stderr
        daemon.stderr = ""
        spool.unlink()
