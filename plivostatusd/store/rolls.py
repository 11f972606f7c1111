"""
A long list of sends: accepted whole in one small transaction, then written out in steps.

    (nothing) --keep--> a roll, in `facts` --write_out, a step at a time--> messages, and no roll

A roll is a whole list as it was accepted: one value, and beside it how many of its messages are
left. From its COMMIT on all of them will be sent, and before it nothing of them is there. A step
writes some of them and says so in the same transaction, so a step that was cut is taken again, by
the next process if need be, and none is taken twice. Against one transaction for a thousand
messages: callbacks would wait for it.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from plivostatusd.domain import phone, statuses
from plivostatusd.store import counting, entries, folding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plivostatusd.store.counting import Key
    from plivostatusd.store.transaction import Transaction
    from plivostatusd.store.writer import Writer

STEP: Final = 25
"""Messages a step while callbacks come: a millisecond of the writer's thread, COMMIT included."""
STEP_ALONE: Final = 250
"""Messages a step while none come: four milliseconds, and each takes a third of the time."""

_ROLL, _LEFT = "roll", "left"

# One statement a table, in which SQLite goes through many messages without Python, and so without
# its lock, which each statement would give up and wait for again.
_LAST_ROW: Final = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'messages'"
_INSERT_MESSAGES: Final = """
INSERT INTO messages (row, id, ref, recipient_number, country, sender_number, message_body, tag,
                      options, sent_by, current_status, created_at, updated_at, room)
SELECT ?2 + key + 1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, ?3, ?4, ?5, ?6, ?7,
       'pending', ?8, ?8, zeroblob(?9)
FROM json_each(?1) ORDER BY key
"""
_INSERT_EVENTS: Final = """
WITH RECURSIVE new (row) AS (SELECT ?1 + 1 UNION ALL SELECT row + 1 FROM new LIMIT ?2)
INSERT INTO events (message, status, received_at, source, trust, status_after)
SELECT row, 'pending', ?3, 'send', 'local', 'pending' FROM new
"""
_INSERT_ENTRIES: Final = """
WITH RECURSIVE new (row) AS (SELECT ?1 + 1 UNION ALL SELECT row + 1 FROM new LIMIT ?2)
INSERT INTO outbox (message, state, accepted_at, due_at) SELECT row, 'pending', ?3, ?3 FROM new
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roll:
    """Sends that differ by their recipients alone; *named*: id, ref and recipient of each."""

    named: Sequence[tuple[str, str, str]]
    sender: str | None
    text: str
    tag: str | None
    options: str | None
    sent_by: str
    now_us: int
    steady_us: int

    @property
    def name(self) -> str:
        """What it goes by: the id of its first message."""
        return self.named[0][0]


def keep(transaction: Transaction, roll: Roll) -> None:
    """Accept *roll*: all of it is to be written out from now on."""
    spelt = json.dumps({each: getattr(roll, each) for each in roll.__slots__})
    for name, value in ((_ROLL, spelt), (_LEFT, str(len(roll.named)))):
        transaction.execute("INSERT INTO facts VALUES (?, ?)", (f"{name} {roll.name}", value))


def write_out(
    transaction: Transaction, name: str, known: Roll | None = None, step: int | None = None
) -> int:
    """
    Write the next *step* of the roll *name* out, and say how many are left; 0 when there is none.

    *known* is that roll, for whoever has it at hand: it need not be read, then.
    """
    step = step or STEP
    left = _left_of(transaction, name)
    roll = (known or _read(transaction, name)) if left else None
    if roll is None:  # written out; or it was salvaged in part
        forget(transaction, name)
        return 0
    at = len(roll.named) - left
    record(transaction, roll, roll.named[at : at + step])
    left = max(left - step, 0)
    if left:
        sql = "UPDATE facts SET value = ?2 WHERE name = ?1"
        transaction.execute(sql, (f"{_LEFT} {name}", str(left)))
    else:
        forget(transaction, name)
    return left


def finish(transaction: Transaction, name: str) -> None:
    """Write all that is left of the roll *name* out at once, if there is one."""
    while write_out(transaction, name):
        pass


def unfinished(transaction: Transaction) -> list[str]:
    """Name the rolls that are not written out yet, the oldest first."""
    rows = transaction.all(
        "SELECT name FROM facts WHERE name > ?1 || ' ' AND name < ?1 || '!' ORDER BY name", (_LEFT,)
    )
    return [name.removeprefix(f"{_LEFT} ") for (name,) in rows]


async def write_out_rest(writer: Writer) -> None:
    """Have *writer* write out what is left of every roll. Raises `StoreUnavailable`."""
    for name in await writer.submit(unfinished):
        while await writer.submit(partial(write_out, name=name)):
            pass


def left(transaction: Transaction) -> int:
    """Count the messages that are accepted and not written out yet."""
    row = transaction.one(
        "SELECT coalesce(sum(CAST(value AS INTEGER)), 0) FROM facts"
        " WHERE name > ?1 || ' ' AND name < ?1 || '!'",
        (_LEFT,),
    )
    assert row is not None
    return int(row[0])


def forget(transaction: Transaction, name: str) -> int:
    """Delete the roll *name*, and say how many of its messages were left."""
    left = _left_of(transaction, name)
    sql = "DELETE FROM facts WHERE name IN (?, ?)"
    transaction.execute(sql, (f"{_ROLL} {name}", f"{_LEFT} {name}"))
    return left


def _left_of(transaction: Transaction, name: str) -> int:
    row = transaction.one("SELECT value FROM facts WHERE name = ?", (f"{_LEFT} {name}",))
    return int(row[0]) if row else 0


def _read(transaction: Transaction, name: str) -> Roll | None:
    row = transaction.one("SELECT value FROM facts WHERE name = ?", (f"{_ROLL} {name}",))
    return Roll(**json.loads(row[0])) if row else None


def record(transaction: Transaction, roll: Roll, named: Sequence[tuple[str, str, str]]) -> None:
    """Record *named*, which are some of *roll*, as messages that wait in the outbox."""
    count, now_us = len(named), roll.now_us
    (last,) = transaction.execute(_LAST_ROW).fetchone()
    countries = [phone.calling_code(to) for _, _, to in named]
    rows = [(*each, country) for each, country in zip(named, countries, strict=True)]
    alike = (roll.sender, roll.text, roll.tag, roll.options, roll.sent_by)
    room = folding.ROOM_BYTES
    transaction.execute(_INSERT_MESSAGES, (json.dumps(rows), last, *alike, now_us, room))
    transaction.execute(_INSERT_EVENTS, (last, count, now_us))
    transaction.execute(_INSERT_ENTRIES, (last, count, roll.steady_us))
    for country, of_country in Counter(countries).items():
        transaction.count(None, figure(now_us, country, roll.tag), of_country)
    transaction.move(None, entries.tally_of("pending"), count)


def figure(now_us: int, country: str | None, tag: str | None) -> Key:
    """Say where a message is counted that nothing is known of yet."""
    unheard = (None,) * 4
    return counting.key((now_us, statuses.PENDING, country, tag, *unheard))
