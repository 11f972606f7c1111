"""
What somebody was promised of a store, and what must be true of any store: asked of its file.

A promise is noted when it is given. Whether all were kept is seen in what a new process finds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from tests.unit.store_place import audit

_WAITING: Final = "SELECT count(*) FROM outbox JOIN messages ON row = message WHERE id = ?"
_KEPT: Final = {
    "recorded": ("SELECT count(*) FROM events WHERE digest = ?", 1),
    "accepted": ("SELECT count(*) FROM messages WHERE id = ?", 1),
    "not accepted": ("SELECT count(*) FROM messages WHERE id = ?", 0),
    "called": (f"{_WAITING} AND state = 'pending'", 0),
    "settled": (_WAITING, 0),
}
# The digests that nonces were used for, of which 8 bytes are kept (store/nonce_runs.py).
_LEDGER: Final = """
SELECT substr(entries, at * 16 + 9, 8) AS begin FROM (
    SELECT entries FROM nonces UNION ALL SELECT entries FROM nonce_pages
) JOIN (
    WITH RECURSIVE counted (at) AS (SELECT 0 UNION ALL SELECT at + 1 FROM counted WHERE at < 999)
    SELECT at FROM counted
) ON at * 16 < length(entries)
"""
_NEVER: Final = {
    "an event is doubled": (
        "SELECT hex(digest) FROM events WHERE digest NOTNULL GROUP BY digest HAVING count(*) > 1"
    ),
    "a nonce without its event": (
        f"SELECT hex(begin) FROM ({_LEDGER})"  # noqa: S608 - ours
        " EXCEPT SELECT hex(substr(digest, 1, 8)) FROM events"
    ),
    "an event without its nonce": (
        "SELECT hex(substr(digest, 1, 8)) FROM events LEFT JOIN messages ON messages.row = message"  # noqa: S608 - ours
        f" WHERE digest NOTNULL AND ref IS NULL EXCEPT SELECT hex(begin) FROM ({_LEDGER})"
    ),
    "an intent without its event": (
        "SELECT id FROM messages WHERE ref NOTNULL AND 1 <> (SELECT count(*) FROM events"
        " WHERE message = messages.row AND events.status = 'pending')"
    ),
    "an intent that is neither waiting nor settled": (
        "SELECT id FROM messages WHERE ref NOTNULL AND current_status = 'pending'"
        " AND row NOT IN (SELECT message FROM outbox)"
    ),
    "a key without its messages": (
        "SELECT key FROM idempotency WHERE (length(message_ids) + 1) / 37"
        " <> (SELECT count(*) FROM messages WHERE instr(message_ids, id))"
    ),
    "a day that counts other sends than there are": (
        "SELECT day FROM sends_by_day GROUP BY NULL"
        " HAVING sum(n) <> (SELECT count(*) FROM messages WHERE ref NOTNULL)"
    ),
}


class Promise(NamedTuple):
    """
    What was said, of what: of a callback's digest, or of a message's id.

    A message that is `called` may never be called again; one that is `not accepted` must never be.
    """

    said: str
    about: bytes | str


def broken(store: Path, promises: Iterable[Promise]) -> Iterator[str]:
    """Give what was promised of *store* and is not so."""
    with closing(sqlite3.connect(store)) as connection:
        for promise in promises:
            sql, expected = _KEPT[promise.said]
            (found,) = connection.execute(sql, (promise.about,)).fetchone()
            if found != expected:
                yield f"{promise}: {found} found"


def not_whole(store: Path) -> Iterator[str]:
    """Give what no store may hold: half of a transaction, a thing twice, a broken page."""
    with closing(sqlite3.connect(store)) as connection:
        for what, sql in _NEVER.items():
            for (which,) in connection.execute(sql):
                yield f"{what}: {which}"
    try:
        audit(store)
    except AssertionError as error:
        yield f"what is derived is not what it is derived from: {error}"
