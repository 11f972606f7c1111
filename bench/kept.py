"""
What a server kept, read back from where it keeps it, and the verdict: a server that lies is out.

A 200 says that a callback was taken, so it must be there, once, and its message must have a status
that its callbacks told.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from .prepared import STATUSES

Fact = tuple[str, str]
"""What a callback reports: MessageUUID and status."""


@dataclass(frozen=True, slots=True)
class Kept:
    """All callbacks that were kept, in the order of their commits, and each message's status."""

    events: list[Fact]
    statuses: Mapping[str, str]


def by_daemon(store: Path) -> Kept:
    """Read our own store."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        events = connection.execute(
            "SELECT message_uuid, status FROM events WHERE source = 'callback' ORDER BY row"
        ).fetchall()
        statuses = connection.execute("SELECT message_uuid, current_status FROM messages")
        return Kept(events, dict(statuses))


def by_sqlite(store: Path) -> Kept:
    """Read the store of Fastify with better-sqlite3."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        events = connection.execute("SELECT message_uuid, status FROM events ORDER BY id")
        statuses = connection.execute("SELECT message_uuid, status FROM messages")
        return Kept(events.fetchall(), dict(statuses))


def by_postgres(psql: Path, folder: Path) -> Kept:
    """Read the store of Fastify with PostgreSQL, which still runs."""

    def rows(query: str) -> list[Fact]:
        command = [str(psql), "-h", str(folder), "-U", "bench", "-At", "-c", query, "postgres"]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        pairs = (line.partition("|") for line in said.splitlines())
        return [(name, status) for name, _, status in pairs]

    events = rows("SELECT message_uuid, status FROM events ORDER BY id")
    return Kept(events, dict(rows("SELECT message_uuid, status FROM messages")))


def by_log(log: Path) -> Kept:
    """Read the log of Fastify that keeps nothing else."""
    with log.open() as lines:
        said = [json.loads(line) for line in lines if '"status update"' in line]
    events = [(each["MessageUUID"], each["Status"]) for each in said]
    return Kept(events, dict(events))


def judge(
    name: str, kept: Kept, told: Iterable[Fact], *, exactly: bool = True, merges: bool = False
) -> int:
    """
    Compare what was kept with what was *told* and answered with 200.

    Not *exactly*: more may be there, whose answer nobody waited for. What *merges* gives a message
    the furthest status that it was told of; else the last to come wins, and a callback that another
    one has overtaken on the way leaves its message with an old status. Gives the number of those.

    Raises:
        SystemExit: the server lied.
    """
    told = list(told)
    missing = Counter(told) - Counter(kept.events)
    surplus = Counter(kept.events) - Counter(told) if exactly else Counter[Fact]()
    if missing or surplus:
        raise SystemExit(
            f"bench: {name} lies. {len(told)} callbacks were answered with 200;"
            f" {missing.total()} of them are not kept, {surplus.total()} are too many"
        )
    heard: dict[str, set[str]] = {}
    for uuid, status in told:
        heard.setdefault(uuid, set()).add(status)
    wrong = sum(kept.statuses.get(uuid) not in statuses for uuid, statuses in heard.items())
    rank = STATUSES.index
    stale = sum(kept.statuses.get(uuid) != max(heard[uuid], key=rank) for uuid in heard) - wrong
    if wrong or (merges and stale):
        raise SystemExit(f"bench: {name} lies. {wrong + stale} messages have not their status")
    return stale
