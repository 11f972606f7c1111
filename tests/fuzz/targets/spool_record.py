"""
A record of the spool: read as what `pack` made of a callback, or a `ValueError`, and nothing else.

An input is one record. What can be read is put into a real store, in a transaction that is rolled
back: the store must take it, and take it once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from plivostatusd.domain import times
from plivostatusd.domain.message import Draft
from plivostatusd.store import database, nonces, receipts, spooled, submissions
from plivostatusd.store.receipts import Arrival, Recorded
from plivostatusd.store.submissions import Intent
from plivostatusd.store.transaction import Transaction
from tests.unit.store_place import audit_connection, submission

REF: Final = "0123456789abcdef0123456789abcdef"
MESSAGE_ID: Final = "0192f0c8-1234-7abc-8def-0123456789ab"
UUID: Final = "83876bdb-2033-4876-bfaf-0ff8693705af"
WORDS: Final = (
    *b'true [] -1 1e9 {} 9223372036854775808 "\\ud800" MessageUUID= &Status=sent'.split(),
    REF.encode(),
    MESSAGE_ID.encode(),
    UUID.encode(),
    b'"ref": null',
    b'"trust": "full"',
    b'"trust": "url-only"',
    b'"key_name": "a"',
    b'"key_fingerprint": "a"',
    b'"received_us": 1',
    b'"message_id": ""',
    b"x-plivo-signature-v2-nonce: 12345678\n",
    b"x-plivo-signature-v3-nonce: 12345679\n",
    b"\nPOST /plivo/status\n",
    b"\nGET /plivo/status?",
    b"\n\n",
)


@contextmanager
def opened(folder: Path) -> Iterator[Callable[[bytes], None]]:
    """Give the target, on a store that holds one send of ours."""
    with closing(database.connect_writer(folder / "status.db")) as connection:
        connection.execute("BEGIN IMMEDIATE")
        transaction = Transaction(connection)
        draft = Draft(to="+14155552323", sender="+14155551212", text="hello", tag=None, options={})
        intent = Intent(id=MESSAGE_ID, ref=REF, draft=draft)
        submissions.accept(transaction, replace(submission(), intents=[intent]))
        transaction.write_counts()
        connection.execute("COMMIT")
        yield partial(_check, connection)


def _check(connection: sqlite3.Connection, record: bytes) -> None:
    try:
        arrival = spooled.unpack(record)
    except ValueError:
        return
    assert arrival == spooled.unpack(spooled.pack(arrival))
    times.rfc3339(arrival.received_us)
    if arrival.message_id == MESSAGE_ID:
        return  # of eighty random bits each: no two messages have one
    connection.execute("BEGIN IMMEDIATE")
    try:
        _record(Transaction(connection), arrival)
    finally:
        connection.execute("ROLLBACK")


def _record(transaction: Transaction, arrival: Arrival) -> None:
    """Drain the same record twice, as after a crash in the middle."""
    first, second = (_drain(transaction, arrival) for _ in range(2))
    assert first.cursor is not None
    if arrival.nonces:
        assert second.cursor is None
        assert (first.message_id, first.message_status) == (
            second.message_id,
            second.message_status,
        )
    audit_connection(transaction.connection)


def _drain(transaction: Transaction, arrival: Arrival) -> Recorded:
    recorded = receipts.record_spooled(transaction, arrival)
    transaction.write_counts()
    nonces.write(transaction)
    return recorded
