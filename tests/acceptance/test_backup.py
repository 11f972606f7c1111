"""`plivostatusctl backup`, as an operator types it on a busy machine, and what puts it back."""
# ruff: noqa: ASYNC240 - a test may wait for its own files

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from uuid import uuid4

import pytest

from bench.stores import make
from tests.acceptance.daemon import ROOT, Daemon, running
from tests.acceptance.test_restore import restore

MESSAGES = 20_000
AT_ONCE = 8
TO = "+14155550006"


async def ctl(daemon: Daemon, *words: str) -> tuple[int, str, str]:
    """Type it: exit status, output and complaints come back."""
    process = await begin(daemon, *words)
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def begin(daemon: Daemon, *words: str) -> asyncio.subprocess.Process:
    """Type it."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "plivostatusd.ctl"),
        *("--socket", str(daemon.api_socket), *words),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


class Load:
    """Callbacks about ever new messages, several at once; *told* is what was answered 200."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self.told: list[str] = []
        self._is_over = False

    async def _go_on(self) -> None:
        while not self._is_over:
            uuid = str(uuid4())
            reply = await self._daemon.deliver(self._daemon.callback("delivered", uuid))
            assert 200 == reply.status, reply.text
            self.told.append(uuid)

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Go on for the length of a block."""
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._go_on())
            while len(self.told) < AT_ONCE:  # noqa: ASYNC110 - until they are under way
                await asyncio.sleep(0)
            yield
            self._is_over = True


def in_it(backup: Path) -> set[str]:
    """Give the UUIDs of the messages in a backup."""
    with closing(sqlite3.connect(f"file:{backup}?immutable=1", uri=True)) as connection:
        assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()
        return {uuid for (uuid,) in connection.execute("SELECT message_uuid FROM messages")}


async def test_there_and_back(tmp_path: Path) -> None:
    """A backup under load refuses and spools no callback, holds all that was answered, and fits."""
    make(tmp_path / "status.db", MESSAGES, still_open=0)
    backup = tmp_path / "backups" / "plivostatusd.db"
    backup.parent.mkdir()
    backup.write_text("an older one")
    async with running(tmp_path, reconcile={"after": "0"}) as (daemon, _):
        await daemon.operator("POST", "/outbox/hold")
        held = (await daemon.send(TO, wait="0")).json["id"]
        load = Load(daemon)
        async with load.going_on():
            before = set(load.told)
            status, out, err = await ctl(daemon, "backup", str(backup), "--json")
        assert (0, "") == (status, err)
        said = json.loads(out)
        assert (str(backup), backup.stat().st_size) == (said["file"], said["bytes"])
        assert 0o600 == stat.S_IMODE(backup.stat().st_mode)
        assert [backup] == list(backup.parent.iterdir())
        assert not list(tmp_path.glob("status.db.backup*"))
        assert before
        assert before <= in_it(backup)
        assert not [line for line in daemon.lines if line["event"] == "spool_entered"]
        assert "unix:" in (await daemon.line("backup_taken"))["by"]
        await daemon.stop()

        daemon.allow("outbox_held")
        status, out, err = await restore(daemon, backup)
        assert (0, "") == (status, err)
        await daemon.start()
        assert "unknown" == (await daemon.message(held))["status"]
        for uuid in before:
            assert "delivered" == (await daemon.message(uuid))["status"]
        status, out, _ = await ctl(daemon, "rebuild", "--json")
        done = json.loads(out.splitlines()[-1])
        assert (0, 0) == (status, done["different"])
        assert MESSAGES + len(before) < done["compared"]


async def test_a_daemon_that_dies(tmp_path: Path) -> None:
    """A daemon that is killed leaves the older file as it was, and its next start no rubbish."""
    make(tmp_path / "status.db", MESSAGES, still_open=0)
    backup = tmp_path / "plivostatusd.db"
    backup.write_text("an older one")
    async with running(tmp_path, reconcile={"after": "0"}) as (daemon, _):
        process = await begin(daemon, "backup", str(backup))
        unfinished = tmp_path / "status.db.backup-unfinished"
        while process.returncode is None and not unfinished.exists():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
        await daemon.kill()
        _, err = await process.communicate()
        assert (69, True) == (process.returncode, b"gave no answer" in err), err
        assert "an older one" == backup.read_text()
        await daemon.start()
        assert not unfinished.exists()
        assert not list(tmp_path.glob(".plivostatusd.db.*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_client_that_goes_away(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C leaves nothing behind, on either side, and the next backup is made at once."""
    make(tmp_path / "status.db", MESSAGES, still_open=0)
    backup = tmp_path / "plivostatusd.db"
    async with running(tmp_path, reconcile={"after": "0"}) as (daemon, _):
        process = await begin(daemon, "backup", str(backup))
        unfinished = tmp_path / "status.db.backup-unfinished"
        while process.returncode is None and not unfinished.exists():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
        process.send_signal(number)
        out, err = await process.communicate()
        assert (130, b"", b"") == (process.returncode, out, err)
        assert not list(tmp_path.glob("*plivostatusd.db*"))
        status, _, err_text = await ctl(daemon, "backup", str(backup))
        assert (0, "") == (status, err_text)
        assert MESSAGES == len(in_it(backup))
        held_open = [str(each.readlink()) for each in Path(f"/proc/{daemon.pid}/fd").iterdir()]
        assert [] == [name for name in held_open if "backup" in name]
