"""
Stores of any size, made fast: what a daemon would have after years, written by SQL alone.

Each message was sent, and delivered or not, within the last 90 days, with three callbacks each,
which are in the ledger of nonces too, as those of the bare path are: the dearest of both.
Identifiers, numbers and nonces are random, requests have the size of real ones. The newest
thousand are still open, and texts that retention would blank are blanked. Rows say what their
events say, and tallies agree; the ledger's entries are random, so it knows no request of the
store. Run alone it prints how long it took:

    python -m bench.stores FILE 1000000
"""

from __future__ import annotations

import random
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from plivostatusd.store import figures, nonce_runs
from plivostatusd.store.database import connect_writer
from plivostatusd.store.transaction import Transaction

OPEN = 1_000
ENTRIES_PER_MESSAGE = 6
CACHE_KIB_MAX = 2 << 20
_SPAN_US = 90 * 86_400 * 1_000_000
_PAGES_AT_ONCE = 80

_MESSAGES = """
WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < :count)
INSERT INTO messages (id, message_uuid, ref, sender_number, recipient_number, message_body, tag,
    sent_by, initial_status, current_status, status_timestamp, error_code, final, final_by, units,
    amount, mcc, mnc, created_at, updated_at, room, delivery_ms)
SELECT printf('01930000-0000-7000-8000-%012x', n), lower(hex(randomblob(4)) || '-'
        || hex(randomblob(2)) || '-4d85-b1a4-' || hex(randomblob(6))),
    lower(hex(randomblob(16))), '+14155551212', printf('+1415%07d', abs(random()) % 10000000),
    CASE WHEN n > :count * 3 / 4 THEN 'disk full on db3, look at it' END,
    CASE n % 4 WHEN 0 THEN 'backup' WHEN 1 THEN 'alert' END, 'unix:root', 'queued',
    CASE WHEN n > :count - :open THEN 'sent' WHEN n % 20 = 0 THEN 'undelivered'
    ELSE 'delivered' END,
    :from + n * :step + 2700000, CASE WHEN n <= :count - :open AND n % 20 = 0 THEN '30' END,
    n <= :count - :open, CASE WHEN n <= :count - :open THEN 'status' END, 1, '0.0035', '310', '150',
    :from + n * :step, :from + n * :step + 3000000, x'',
    CASE WHEN n <= :count - :open AND n % 20 <> 0 THEN 900 END
FROM counted
"""
EVENTS = """
INSERT INTO events (message, status, sequence, at, received_at, source, trust, error_code, units,
    amount, mcc, mnc, status_after, message_uuid, verified_by, nonces, raw)
SELECT row, CASE step WHEN 1 THEN 'queued' WHEN 2 THEN 'sent' ELSE current_status END, step,
    created_at + step * 900000, created_at + step * 1000000, 'callback', 'full',
    CASE step WHEN 3 THEN error_code END, units, amount, mcc, mnc,
    CASE step WHEN 1 THEN 'queued' WHEN 2 THEN 'sent' ELSE current_status END, message_uuid,
    'auth_token 1', printf('%020d %020d', abs(random()), abs(random())),
    CAST('POST /plivo/' || ref || '/status' || char(10)
        || 'x-plivo-signature-v2: ' || hex(randomblob(22)) || char(10)
        || 'x-plivo-signature-v2-nonce: 01234567890123456789' || char(10)
        || 'x-plivo-signature-v3: ' || hex(randomblob(22)) || char(10)
        || 'x-plivo-signature-v3-nonce: 01234567890123456789' || char(10)
        || 'content-type: application/x-www-form-urlencoded' || char(10, 10)
        || 'MessageUUID=' || message_uuid || '&ParentMessageUUID=' || message_uuid
        || '&PartInfo=1+of+1&From=14155551212&To=' || substr(recipient_number, 2)
        || '&Type=sms&Status=' || current_status || '&Units=1&TotalRate=0.0035&TotalAmount=0.0035'
        || '&MCC=310&MNC=150&ErrorCode=&Sequence=3&MessageTime=2026-11-30+22%3A26%3A32.285835'
        || '&QueuedTime=2026-11-30+22%3A26%3A32.294848&SentTime=2026-11-30+22%3A26%3A32.304366'
        || '&DeliveryReportTime=2026-11-30+22%3A26%3A32.314098&PowerpackUUID='
        || '&requester_ip=203.0.113.7'
        AS BLOB)
FROM messages CROSS JOIN (SELECT 1 AS step UNION ALL SELECT 2 UNION ALL SELECT 3)
"""
TALLIES = (
    "INSERT INTO tallies SELECT current_status, count(*) FROM messages GROUP BY current_status"
)


def make(path: Path, count: int, *, still_open: int = OPEN) -> None:
    """Make a store of *count* messages at *path*, where there is none yet."""
    from_us = time.time_ns() // 1_000 - _SPAN_US
    terms = {"count": count, "open": still_open, "from": from_us, "step": _SPAN_US // count}
    connect_writer(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        # Neither log nor journal, which would be as large as the store; indexes stay in memory.
        for pragma in ("journal_mode = DELETE", "journal_mode = OFF", "synchronous = OFF"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute(f"PRAGMA cache_size = -{min(CACHE_KIB_MAX, 16_384 + count // 2)}")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_MESSAGES, terms)
        connection.execute(EVENTS)
        connection.execute(TALLIES)
        figures.recount(Transaction(connection))
        _fill_ledger(connection, count * ENTRIES_PER_MESSAGE, from_us + _SPAN_US)
        connection.execute("COMMIT")
    connect_writer(path).close()


def _fill_ledger(connection: sqlite3.Connection, entries: int, seen_us: int) -> None:
    for size in _run_sizes(entries):
        run = nonce_runs.make(connection, size, "a token's", seen_us)
        step, at_once = (1 << 64) // size, _PAGES_AT_ONCE * nonce_runs.ENTRIES_PER_PAGE
        for start in range(0, size, at_once):
            numbers = range(start, min(size, start + at_once))
            content = [
                (step * n + random.randrange(step)).to_bytes(8, "big") + b"a digest"
                for n in numbers
            ]
            nonce_runs.append(connection, run, content)


def _run_sizes(entries: int) -> Iterator[int]:
    """Say of which sizes the runs of a ledger of so many entries are, once all are merged."""
    size = nonce_runs.FILED_AT_ONCE * 4**nonce_runs.GREAT_LEVEL
    if entries >= size:
        yield entries // size * size
        entries %= size
    while size > nonce_runs.FILED_AT_ONCE:
        size //= 4
        for _ in range(entries // size):
            yield size
        entries %= size


if __name__ == "__main__":
    began_s = time.perf_counter()
    make(Path(sys.argv[1]), int(sys.argv[2]))
    print(f"{time.perf_counter() - began_s:.1f} s, {Path(sys.argv[1]).stat().st_size >> 20} MiB")
