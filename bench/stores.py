"""
Stores of any size, made in seconds: what a daemon would have after years, written by SQL alone.

Each message was sent, and delivered or not, within the last 90 days, with three callbacks each. The
newest thousand are still open, and texts that retention would blank are blanked. Rows say what
their events say, and tallies and figures agree. Run alone it prints how long it took:

    python -m bench.stores FILE 1000000
"""

from __future__ import annotations

import sys
import time
from contextlib import closing
from pathlib import Path

from plivostatusd.store import figures
from plivostatusd.store.database import connect_writer
from plivostatusd.store.transaction import Transaction

OPEN = 1_000
_SPAN_US = 90 * 86_400 * 1_000_000

_MESSAGES = """
WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < :count)
INSERT INTO messages (id, message_uuid, ref, sender_number, recipient_number, message_body, tag,
    sent_by, initial_status, current_status, status_timestamp, error_code, final, final_by, units,
    amount, mcc, mnc, created_at, updated_at, room, delivery_ms)
SELECT printf('01930000-0000-7000-8000-%012x', n), printf('3e82ae9d-2c78-4d85-b1a4-%012x', n),
    printf('%032x', n), '+14155551212', printf('+1415%07d', n % 9999999),
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
    'auth_token 1', printf('%020d %020d', row * 8 + step, row * 8 + step + 4),
    CAST('POST /plivo/' || ref || '/status' AS BLOB)
FROM messages CROSS JOIN (SELECT 1 AS step UNION ALL SELECT 2 UNION ALL SELECT 3)
"""
TALLIES = (
    "INSERT INTO tallies SELECT current_status, count(*) FROM messages GROUP BY current_status"
)


def make(path: Path, count: int, *, still_open: int = OPEN) -> None:
    """Make a store of *count* messages at *path*, where there is none yet."""
    from_us = time.time_ns() // 1_000 - _SPAN_US
    terms = {"count": count, "open": still_open, "from": from_us, "step": _SPAN_US // count}
    with closing(connect_writer(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_MESSAGES, terms)
        connection.execute(EVENTS)
        connection.execute(TALLIES)
        figures.recount(Transaction(connection))
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


if __name__ == "__main__":
    began_s = time.perf_counter()
    make(Path(sys.argv[1]), int(sys.argv[2]))
    print(f"{time.perf_counter() - began_s:.1f} s, {Path(sys.argv[1]).stat().st_size >> 20} MiB")
