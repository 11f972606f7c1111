"""`plivostatusd --restore FILE`, as an operator types it, between two lives of a daemon."""
# ruff: noqa: ASYNC240 - a test may wait for its own files

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import time
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import pytest

from plivostatusd.store import database, rolls, submissions
from plivostatusd.store.database import marker_of
from plivostatusd.store.transaction import Transaction
from tests.acceptance.daemon import ROOT, Daemon, running
from tests.fault.store_faults import corrupt, recovered
from tests.unit.store_place import submission

UNAVAILABLE = 69
NOBODY = 65534
TO = "+14155550006"


async def restore(daemon: Daemon, source: Path, *more: str) -> tuple[int, str, str]:
    """Type it; exit status, output and complaints come back."""
    daemon.write_config()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "plivostatusd", "-c", str(daemon.config)),
        *("--restore", str(source), *more),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


def back_up(daemon: Daemon, target: Path) -> Path:
    """Copy the store as SQLite does, whether the daemon runs or not."""
    with (
        closing(sqlite3.connect(daemon.store_path)) as store,
        closing(sqlite3.connect(target)) as copy,
    ):
        store.backup(copy)
    return target


async def test_the_store_rolled_back(tmp_path: Path) -> None:
    """What a backup would still send is never sent; callbacks about what came since are kept."""
    async with running(tmp_path) as (daemon, simulator):
        daemon.allow("outbox_held", "callback_unusual", "unknown_ref")
        await daemon.operator("POST", "/outbox/hold")
        held = (await daemon.send(TO, wait="0")).json["id"]
        backup = back_up(daemon, tmp_path / "backup.db")
        cursor = (await daemon.api("GET", "/events?after=end")).json["next"]
        await daemon.operator("POST", "/outbox/release")
        since = (await daemon.send("+14155550106", wait="10s")).json
        assert "queued" == since["status"]
        await daemon.until(lambda _statuses: len(simulator.messages) > 1)  # which is first is open
        taken = dict(simulator.messages)
        assert 2 == len(taken)
        await daemon.stop()

        status, out, err = await restore(daemon, backup)
        assert (0, "") == (status, err)
        assert "1 sends that were pending or under way in it are unknown now" in out
        (aside,) = tmp_path.glob("status.db.before-restore-*Z")
        assert str(aside) in out
        await daemon.start()
        found = await daemon.message(held)
        assert ("unknown", False) == (found["status"], found["final"])
        assert "restored" in found["reason"]
        assert 404 == (await daemon.api("GET", f"/messages/{since['id']}")).status
        assert 410 == (await daemon.api("GET", f"/events?after={cursor}")).status

        # Plivo goes on to report what the newer store had sent, on a ref that this one never knew.
        await daemon.operator("POST", "/outbox/release")
        uuid = str(since["message_uuid"])
        delivery = await simulator.callback(uuid, "delivered")
        assert 200 == delivery.answer
        assert "delivered" == (await daemon.message(uuid))["status"]
        await daemon.stop()
        await daemon.start()
        await daemon.deliver(daemon.callback("delivered", str(uuid4())))
        assert taken.keys() == simulator.messages.keys()
        assert "unknown" == (await daemon.message(held))["status"]


async def test_a_stopped_store_with_its_log(tmp_path: Path) -> None:
    """What is in the write-ahead log beside a store is restored with it; the file is only read."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    async with running(tmp_path / "a") as (daemon, _):
        uuid = str(uuid4())
        await daemon.deliver(daemon.callback("delivered", uuid))
        await daemon.kill()
        await daemon.start()
        await daemon.kill()
        old = daemon.store_path
        assert Path(f"{old}-wal").stat().st_size > 0
        before = {
            path: sha256(path.read_bytes()).digest() for path in old.parent.glob("status.db*")
        }
    async with running(tmp_path / "b") as (daemon, _):
        await daemon.stop()
        assert 0 == (await restore(daemon, old))[0]
        await daemon.start()
        assert "delivered" == (await daemon.message(uuid))["status"]
    assert before == {path: sha256(path.read_bytes()).digest() for path in before}


async def test_a_list_in_part(tmp_path: Path) -> None:
    """A list of which a backup has a part and the roll is whole when restored, and not sent."""
    async with running(tmp_path) as (daemon, simulator):
        daemon.allow("outbox_held")
        await daemon.stop()
        given = submission(to=[f"+1415555{number:04}" for number in range(60)])
        roll = submissions.roll_of(given, given.intents)
        with closing(database.connect_writer(daemon.store_path)) as connection:
            transaction = Transaction(connection)
            submissions.accept(transaction, given, roll=roll)
            rolls.write_out(transaction, roll.name)
            transaction.write_counts()
            transaction.close()
        backup = back_up(daemon, tmp_path / "backup.db")
        status, out, _ = await restore(daemon, backup)
        assert 0 == status
        assert "60 sends that were pending or under way in it are unknown now" in out
        assert [("unknown", 60)] == daemon.rows(
            "SELECT current_status, count(*) FROM messages GROUP BY 1"
        )
        assert {} == simulator.messages


async def test_what_is_refused(tmp_path: Path) -> None:
    """Over a running daemon, and with what is no whole store of ours, nothing is changed."""
    async with running(tmp_path) as (daemon, _):
        await daemon.deliver(daemon.callback("delivered", str(uuid4())))
        good = back_up(daemon, tmp_path / "good.db")
        status, _, err = await restore(daemon, good)
        assert (UNAVAILABLE, True) == (status, f"process {daemon.pid} holds the store" in err)
        await daemon.stop()
        before = daemon.store_path.read_bytes()
        damaged = back_up(daemon, tmp_path / "damaged.db")
        corrupt(damaged, "events_by_message")
        garbage = tmp_path / "garbage.db"
        garbage.write_bytes(b"no database at all" * 300)
        empty = tmp_path / "empty.db"
        empty.touch()
        blank = tmp_path / "blank.db"
        with closing(sqlite3.connect(blank)) as connection:
            connection.execute("PRAGMA user_version = 1")
        other = tmp_path / "other.db"
        with closing(sqlite3.connect(other)) as connection:
            connection.execute("CREATE TABLE somebody_elses (x)")
        newer = back_up(daemon, tmp_path / "newer.db")
        with closing(sqlite3.connect(newer)) as connection:
            connection.execute("PRAGMA user_version = 9999")
        for bad, word in (
            (damaged, "damaged"),
            (garbage, "cannot be read"),
            (empty, "anything in it"),
            (blank, "holds no store"),
            (other, "another program"),
            (newer, "newer plivostatusd"),
            (tmp_path / "nothing", "anything in it"),
        ):
            status, out, err = await restore(daemon, bad)
            assert (UNAVAILABLE, "", True) == (status, out, word in err), err
        assert before == daemon.store_path.read_bytes()
        left = {path.name for path in tmp_path.glob("status.db*")}
        assert {"status.db"} == left


@pytest.mark.parametrize("damaged", ["messages_by_recipient", "events_by_message", "nonces"])
async def test_salvaged_without_a_backup(tmp_path: Path, damaged: str) -> None:
    """What the log says to type for a damaged store saves all that is still readable."""
    async with running(tmp_path) as (daemon, simulator):
        daemon.allow("store_damaged", "spool_entered", "batch_failed")
        name = (await daemon.send("+14155550001")).json["id"]
        await daemon.until(lambda statuses: statuses.get(name) == "delivered")
        await simulator.idle()
        await daemon.stop()
        corrupt(daemon.store_path, damaged)
        await daemon.start()
        uuid = str(uuid4())
        assert 200 == (await daemon.deliver(daemon.callback("delivered", uuid))).status
        hint = (await daemon.line("store_damaged"))["hint"]
        await daemon.stop()
        command = f"plivostatusd --restore {daemon.store_path} --salvage"
        assert hint.endswith(command)
        status, out, err = await restore(daemon, daemon.store_path, "--salvage")
        assert (0, "") == (status, err)
        assert "kept as" in out
        await daemon.start()
        await recovered(daemon, time.monotonic())
        assert "delivered" == (await daemon.message(name))["status"]
        assert "delivered" == (await daemon.message(uuid))["status"]


async def test_a_restore_that_was_cut_off(tmp_path: Path) -> None:
    """Over half an exchange no daemon starts; typing it again ends it."""
    async with running(tmp_path) as (daemon, _):
        uuid = str(uuid4())
        await daemon.deliver(daemon.callback("delivered", uuid))
        backup = back_up(daemon, tmp_path / "backup.db")
        await daemon.stop()
        marker_of(daemon.store_path).touch()
        daemon.store_path.rename(tmp_path / "status.db.before-restore-x")
        daemon.allow("start_refused")
        await daemon.launch()
        assert UNAVAILABLE == await daemon.ended()
        assert "--restore" in daemon.stderr
        daemon.stderr = ""
        assert not daemon.store_path.exists()
        assert 0 == (await restore(daemon, backup))[0]
        await daemon.start()
        assert "delivered" == (await daemon.message(uuid))["status"]


async def test_without_a_token(tmp_path: Path) -> None:
    """A restore asks for no secret: whoever types it need not be able to read one."""
    async with running(tmp_path) as (daemon, _):
        uuid = str(uuid4())
        await daemon.deliver(daemon.callback("delivered", uuid))
        backup = back_up(daemon, tmp_path / "backup.db")
        await daemon.stop()
        (tmp_path / "auth_token").rename(tmp_path / "auth_token.away")
        status, out, err = await restore(daemon, backup)
        assert (0, "") == (status, err), out
        (tmp_path / "auth_token.away").rename(tmp_path / "auth_token")
        assert [("delivered",)] == daemon.rows(
            "SELECT status FROM events WHERE message_uuid = ?", uuid
        )


async def test_as_root_for_another_user(tmp_path: Path) -> None:
    """Typed by root, it leaves a store that belongs to the daemon's user, and to nobody else."""
    async with running(tmp_path) as (daemon, _):
        await daemon.deliver(daemon.callback("delivered", str(uuid4())))
        backup = back_up(daemon, tmp_path / "backup.db")
        await daemon.stop()
        os.chown(daemon.store_path, NOBODY, NOBODY)
        assert 0 == (await restore(daemon, backup))[0]
        status = daemon.store_path.stat()
        assert (NOBODY, NOBODY, 0o600) == (status.st_uid, status.st_gid, status.st_mode & 0o777)
        assert NOBODY == (tmp_path / "plivostatusd.lock").stat().st_uid
        os.chown(daemon.store_path, 0, 0)
