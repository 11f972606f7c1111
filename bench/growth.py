"""
What grows with the store: the same work on stores of ten thousand, a million and more messages.

    python -m bench.growth [--sizes 10000,1000000] [--seconds S] [--folder FOLDER] [--json FILE]

The two sizes of the default take three minutes. Work is done by the daemon's own code on its own
connections; start, `/metrics` and `show` by a real daemon. What is given is the median, in
microseconds of wall clock and of processor time: on a machine that is shared the latter is what to
compare. Each store was written just before, so its pages are in the system's cache as far as they
fit. Stores in a folder that is given are kept, and used again the next time: they grow a little.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

from plivostatusd.domain import callback, identity
from plivostatusd.domain.asking import Patience
from plivostatusd.store import asks, database, figures, nonces, pruning, receipts, watching
from plivostatusd.store.figures import Wanted
from plivostatusd.store.ledger import Ledger
from plivostatusd.store.reader import Filter, Reader
from plivostatusd.store.receipts import Arrival
from plivostatusd.store.transaction import Transaction

from .processes import Cores, daemon
from .stores import make

FOLDER = "/var/tmp"  # noqa: S108 - a folder of our own is made in it
BATCH = 64
TIMES = 60
RAW_BYTES = 709
PATIENCE = Patience(after_us=600_000_000, silence_final_us=259_200_000_000)

Row = tuple[float, float]
"""Microseconds of wall clock and of processor time."""


@dataclass
class Size:
    """One store, and what was found of it by name."""

    messages: int
    store: Path
    seconds: float
    found: dict[str, Row] = field(default_factory=dict)

    def ids(self, count: int) -> list[tuple[str, str, str]]:
        """Pick messages at random: id, Plivo's id, ref."""
        with closing(sqlite3.connect(self.store)) as connection:
            rows = [random.randrange(1, self.messages) for _ in range(count)]
            sql = "SELECT id, message_uuid, ref FROM messages WHERE row = ?"
            return [connection.execute(sql, (row,)).fetchone() for row in rows]


def main() -> int:
    """Measure all sizes, and print the table."""
    options = _options()
    cores = Cores.take()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="growth-", dir=FOLDER))
    sizes = []
    try:
        for count in map(int, options.sizes.split(",")):
            place = folder / str(count)
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            size = Size(count, place / "status.db", options.seconds)
            if not size.store.exists():
                make(size.store, count)
            sizes.append(size)
            measure(size, cores)
            if options.folder is None:
                shutil.rmtree(place)
    finally:
        if options.folder is None:
            shutil.rmtree(folder)
    show(sizes)
    if options.json:
        options.json.write_text(json.dumps({str(size.messages): size.found for size in sizes}))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().partition("\n")[0])
    parser.add_argument("--sizes", default="10000,1000000", help="messages, with commas between")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each kind of callbacks")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def measure(size: Size, cores: Cores) -> None:
    """Do everything to one store."""
    with closing(database.connect_writer(size.store)) as connection:
        (there,) = connection.execute("SELECT max(row) FROM messages").fetchone()
        size.found["bytes a message"] = (size.store.stat().st_size / there, 0.0)
        callbacks(size, connection)
        steps(size, connection)
    asyncio.run(questions(size))
    processes(size, cores)


def callbacks(size: Size, connection: sqlite3.Connection) -> None:
    """Record callbacks as the writer does, 64 a transaction, checkpoints included."""
    ledger = Ledger()
    while ledger.coming is not None:  # as upkeep does after a start
        connection.execute("BEGIN IMMEDIATE")
        Transaction(connection, ledger)
        connection.execute("COMMIT")
    old = size.ids(20_000)
    size.found["callback, bare path, new message"] = _recorded(
        size, connection, ledger, lambda: arrival(str(uuid.UUID(int=random.getrandbits(128))), None)
    )
    size.found["callback, ref's path, old message"] = _recorded(
        size, connection, ledger, lambda: arrival(*random.choice(old)[1:])
    )


def _recorded(
    size: Size, connection: sqlite3.Connection, ledger: Ledger, draw: Callable[[], Arrival]
) -> Row:
    wall_s = cpu_s = 0.0
    count = 0
    while wall_s < size.seconds:
        batch = [draw() for _ in range(BATCH)]
        began_s, cpu_began_s = time.perf_counter(), time.process_time()
        connection.execute("BEGIN IMMEDIATE")
        transaction = Transaction(connection, ledger)
        for each in batch:
            receipts.record(transaction, each)
        transaction.write_counts()
        nonces.write(transaction)
        connection.execute("COMMIT")
        transaction.committed()
        wall_s += time.perf_counter() - began_s
        cpu_s += time.process_time() - cpu_began_s
        count += BATCH
    return wall_s / count * 1e6, cpu_s / count * 1e6


def arrival(message_uuid: str, ref: str | None) -> Arrival:
    """Make a verified callback of the size of a real one."""
    now_us = time.time_ns() // 1_000
    fields = {
        "MessageUUID": message_uuid,
        "Status": "sent",
        "From": "14155551212",
        "To": f"1415{random.randrange(10_000_000):07}",
        "Sequence": "2",
        "SentTime": "2026-11-30 22:26:32.304366",
        "Units": "1",
        "TotalAmount": "0.0035",
        "MCC": "310",
        "MNC": "150",
    }
    return Arrival(
        report=callback.parse([(name.encode(), text.encode()) for name, text in fields.items()]),
        ref=ref,
        trust="full",
        key_name="auth_token 1",
        key_fingerprint="a token's",
        nonces=(f"{random.getrandbits(66):020}", f"{random.getrandbits(66):020}"),
        digest=random.randbytes(16),
        raw=random.randbytes(RAW_BYTES),
        received_us=now_us,
        message_id=identity.message_id(now_us, os.urandom(identity.ID_BYTES)),
    )


def steps(size: Size, connection: sqlite3.Connection) -> None:
    """Do what the writer does besides: retention and reconcile, each undone again."""
    now_us = time.time_ns() // 1_000
    jobs: dict[str, Callable[[Transaction], object]] = {
        "retention, a step of messages": lambda tx: pruning.delete_messages(tx, now_us),
        "retention, a step of texts": lambda tx: pruning.blank_texts(tx, now_us),
        "reconcile, a step of watching": lambda tx: watching.watch(
            tx, watching.newest_row(tx), PATIENCE, now_us, now_us
        ),
        "reconcile, what is due": lambda tx: asks.due(tx, now_us, 20),
    }
    for name, job in jobs.items():
        taken = []
        for _ in range(TIMES):
            connection.execute("BEGIN IMMEDIATE")
            began_s, cpu_began_s = time.perf_counter(), time.process_time()
            job(Transaction(connection))
            taken.append((time.perf_counter() - began_s, time.process_time() - cpu_began_s))
            connection.execute("ROLLBACK")
        size.found[name] = _median(taken)
    taken = [_timed(lambda: figures.count(connection, Wanted(columns={}))) for _ in range(TIMES)]
    size.found["stats of everything"] = _median(taken)


def _timed(job: Callable[[], object]) -> Row:
    began_s, cpu_began_s = time.perf_counter(), time.process_time()
    job()
    return time.perf_counter() - began_s, time.process_time() - cpu_began_s


def _median(taken: list[Row]) -> Row:
    walls, cpus = zip(*taken, strict=True)
    return median(walls) * 1e6, median(cpus) * 1e6


async def questions(size: Size) -> None:
    """Ask what the local API asks, through the daemon's own reader."""
    reader = Reader(size.store, condemn=_condemned)
    with closing(sqlite3.connect(size.store)) as connection:
        sql = "SELECT created_at, row, recipient_number FROM messages WHERE row = ?"
        deep_us, deep_row, number = connection.execute(sql, (size.messages // 2,)).fetchone()
        (events,) = connection.execute("SELECT max(row) FROM events").fetchone()
    named = iter(size.ids(3 * TIMES))
    jobs: dict[str, Callable[[], Awaitable[object]]] = {
        "message by id": lambda: reader.message(next(named)[0]),
        "message by Plivo's id": lambda: reader.message(next(named)[1]),
        "list, first page": lambda: reader.messages(Filter()),
        "list, deep page": lambda: reader.messages(Filter(before=(deep_us, deep_row))),
        "list by number": lambda: reader.messages(Filter(to=number)),
        "list by status and tag": lambda: reader.messages(Filter(status="sent", tag="backup")),
        "events, a page": lambda: reader.events_after(random.randrange(events), 100),
    }
    for name, job in jobs.items():
        taken = []
        for _ in range(TIMES):
            began_s, cpu_began_s = time.perf_counter(), time.process_time()
            await job()
            taken.append((time.perf_counter() - began_s, time.process_time() - cpu_began_s))
        size.found[name] = _median(taken)
    await reader.close()


def _condemned(damage: Exception) -> None:
    raise damage


def processes(size: Size, cores: Cores) -> None:
    """Start a daemon on the store, scrape it, and show a message by a process of its own."""
    starts, scrapes, shows = [], [], []
    for _ in range(5):
        with daemon(size.store.parent, cores.server) as running:
            starts.append(running.ready_after_s * 1e6)
            for message_id, *_ in size.ids(5):
                shows.append(running.ctl_s("show", message_id) * 1e6)
                scrapes.append(_timed(partial(running.ask, "/metrics")))
    size.found["start to ready"] = (median(starts), 0.0)
    size.found["scrape of /metrics"] = (_median(scrapes)[0], 0.0)
    size.found["show, the whole process"] = (median(shows), 0.0)


def show(sizes: list[Size]) -> None:
    """Print what was found, a line each: wall clock, processor time, and the last to the first."""
    print(f"{'us (processor time)':36}" + "".join(f"{size.messages:>22,}" for size in sizes))
    for name in sizes[0].found:
        print(f"{name:36}" + "".join(_cells(size.found[name] for size in sizes)))


def _cells(rows: Iterator[Row]) -> Iterator[str]:
    first = last = None
    for wall, cpu in rows:
        yield f"{wall:>13,.0f} {f'({cpu:,.0f})' if cpu else '':>8}"
        last = cpu or wall
        first = first or last
    if first and last:
        yield f"  x {last / first:.2f}"


if __name__ == "__main__":
    sys.exit(main())
