"""What tests of a whole daemon without its store have in common: what it must do meanwhile."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from plivostatusd.store import spooled
from plivostatusd.store.spool_file import read
from tests.acceptance.daemon import Daemon

ANSWER_S_MAX = 2.0
RECOVERY_S_MAX = 5.0
PAGE_BYTES = 4096
WHILE_AWAY = ("batch_failed", "spool_entered", "store_damaged", "request_refused")


async def deliver(daemon: Daemon, uuid: str | None = None) -> str:
    """Report a message; the answer is 200, and in time. Its UUID comes back."""
    uuid = uuid or str(uuid4())
    began_s = time.monotonic()
    reply = await daemon.deliver(daemon.callback("delivered", uuid))
    assert (200, True) == (reply.status, time.monotonic() - began_s < ANSWER_S_MAX)
    return uuid


async def refused_send(daemon: Daemon) -> str:
    """See that a send is refused with 503, and that `/ready` fails; give the problem's type."""
    reply = await daemon.send("+14155550001")
    assert 503 == reply.status, reply.text
    assert 503 == (await daemon.operator("GET", "/ready")).status
    return str(reply.json["type"])


async def recovered(daemon: Daemon, ended_s: float) -> None:
    """Wait until the store has taken everything, which it must soon after the fault ended."""
    await daemon.line("spool_drained")
    while 200 != (await daemon.operator("GET", "/ready")).status:
        assert time.monotonic() - ended_s < RECOVERY_S_MAX
    assert time.monotonic() - ended_s < RECOVERY_S_MAX


def stored(daemon: Daemon) -> list[str]:
    """Give the UUIDs of the events in the store, each as often as it is there."""
    return sorted(uuid for (uuid,) in daemon.rows("SELECT message_uuid FROM events"))


def in_spool(daemon: Daemon) -> list[str]:
    """Give the UUIDs that are in the spool."""
    found = [
        spooled.unpack(record).report.message_uuid
        for file in (daemon.store_path.parent / "spool").glob("*.spool")
        for record in read(file).records
    ]
    return sorted(uuid for uuid in found if uuid is not None)


def digests(daemon: Daemon) -> dict[str, str]:
    """Tell what is in the store and its log; the memory shared beside them is of no worth."""
    files = daemon.store_path.parent.glob(f"{daemon.store_path.name}*")
    return {
        path.name: sha256(path.read_bytes()).hexdigest()
        for path in files
        if not path.name.endswith("-shm")
    }


def corrupt(path: Path, table: str) -> None:
    """Overwrite the first page of *table*, as a bad disk might, in a store that nobody uses."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        found = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        (page,) = connection.execute(found, (table,)).fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE_BYTES)
        file.write(b"\xfe" * PAGE_BYTES)
