"""
Commands that read, each as a whole process, on a store of a million messages.

    python -m bench.reading [--messages N] [--days N] [--folder FOLDER]

The store is written by SQL alone: sends of some tags to three countries over some networks, three
callbacks each. A folder that is given is kept, and used again the next time.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from plivostatusd.store import figures
from plivostatusd.store.database import connect_writer
from plivostatusd.store.transaction import Transaction

from .processes import Cores, Daemon, daemon
from .stores import EVENTS, TALLIES

ROUNDS = 9
_DAY_US = 86_400_000_000

_MESSAGES = """
WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < :count)
INSERT INTO messages (id, message_uuid, ref, sender_number, recipient_number, country, message_body,
    tag, sent_by, initial_status, current_status, status_timestamp, error_code, final, final_by,
    units, amount, mcc, mnc, delivery_ms, created_at, updated_at, room)
SELECT printf('01930000-0000-7000-8000-%012x', n), printf('3e82ae9d-2c78-4d85-b1a4-%012x', n),
    printf('%032x', n), '+14155551212',
    CASE n % 3 WHEN 0 THEN '+1415' WHEN 1 THEN '+4915' ELSE '+4479' END || printf('%07d', n),
    CASE n % 3 WHEN 0 THEN '1' WHEN 1 THEN '49' ELSE '44' END, 'disk full on db3, look at it',
    CASE n % 7 WHEN 0 THEN NULL ELSE 'tag' || n % 7 END, 'unix:user' || n % 5, 'queued',
    CASE WHEN n % 20 = 0 THEN 'undelivered' WHEN n % 50 = 1 THEN 'sent' ELSE 'delivered' END,
    :from + n * :step + 2700000, CASE WHEN n % 20 = 0 THEN CAST(n % 9 * 10 + 10 AS TEXT) END,
    n % 50 <> 1, CASE WHEN n % 50 <> 1 THEN 'status' END, 1, '0.0035',
    CASE n % 3 WHEN 0 THEN '310' WHEN 1 THEN '262' ELSE '234' END, printf('%02d', n % 4),
    CASE WHEN n % 20 <> 0 AND n % 50 <> 1 THEN 1000 + abs(random()) % 20000 END,
    :from + n * :step, :from + n * :step + 3000000, zeroblob(150)
FROM counted
"""


def make(path: Path, count: int, days: int) -> None:
    """Make a store of *count* messages of the last *days* at *path*, where there is none yet."""
    span_us = days * _DAY_US
    from_us = time.time_ns() // 1_000 - span_us
    with closing(connect_writer(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN IMMEDIATE")
        terms = {"count": count, "from": from_us, "step": span_us // count}
        connection.execute(_MESSAGES, terms)
        connection.execute(EVENTS)
        connection.execute(TALLIES)
        figures.recount(Transaction(connection))
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def commands(count: int) -> Iterator[list[str]]:
    """Name what is measured; *count* messages are there."""
    yield ["show", f"01930000-0000-7000-8000-{count // 2:012x}"]
    yield ["list"]
    yield ["list", "--status", "undelivered", "--carrier", "262-00", "--since", "7d"]
    yield ["list", "--error", "30"]
    yield ["list", "--by", "unix:user3", "--to", "+14150000003"]
    yield ["stats"]
    for part in ("status", "country", "carrier", "tag", "error"):
        yield ["stats", "--since", "yesterday", "--until", "today", "--per", part]
    yield ["stats", "--since", "1d", "--per", "carrier"]
    yield ["stats", "--since", "2h", "--per", "tag"]
    yield ["stats", "--per", "day", "--tag", "tag3"]
    yield ["stats", "--by", "unix:user3", "--since", "1d"]
    yield ["tail", "--since", "2h", "--count", "10"]


def measured(running: Daemon, words: list[str]) -> list[float]:
    """Time whole processes of one command, in seconds; the first is to warm up."""
    return [running.ctl_s(*words) for _ in range(ROUNDS + 1)][1:]


def main() -> None:
    """Make the store, ask everything, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().partition("\n")[0])
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="reading-", dir="/var/tmp"))
    folder.mkdir(mode=0o700, exist_ok=True)
    store = folder / "status.db"
    try:
        if not store.exists():
            make(store, options.messages, options.days)
        size_mib = store.stat().st_size >> 20
        print(f"{options.messages:,} messages of {options.days} days, {size_mib} MiB")
        with daemon(folder, Cores.take().server) as running:
            for words in commands(options.messages):
                took = sorted(1_000 * each for each in measured(running, words))
                middle = statistics.median(took)
                print(f"{middle:7.0f} ms ({took[0]:.0f} to {took[-1]:.0f})  {' '.join(words)}")
    finally:
        if options.folder is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
