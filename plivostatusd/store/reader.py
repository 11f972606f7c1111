"""
Reading the store, through aiosqlite on a connection that can only read.

Nothing here scans: every query walks an index in the order of its answer, and a page looks at a
bounded number of rows. Rows come back as dicts of the schema's columns.
"""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast

import aiosqlite

from plivostatusd.store.failure import told

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from plivostatusd.domain.errors import StoreDamaged

Record = dict[str, Any]


async def _one_turn() -> None:
    await asyncio.sleep(0)


EXAMINED_MAX: Final = 20_000
"""Rows that one page of a filtered list looks at; past it the page ends early, with a cursor."""

EXAMINED_FIRST: Final = 1_000
"""So many of them at first: most pages are full by then, and each row to be counted off costs."""

ROWS_AT_ONCE: Final = 64
"""
Half a millisecond of work on the thread, most of it under Python's lock. Each part of a long
answer is a question of its own: while one is half read, its connection sees nothing new.
"""

_EVENT = (
    "e.row AS cursor, e.status, e.sequence, e.at, e.received_at, e.trust, e.source, e.error_code,"
    " e.reason, e.aside, e.verified_by"
)


# Until a send is settled, the outbox knows how often Plivo was called.
_CALLS = (
    "m.*, coalesce(nullif(o.attempts, 0), m.calls) AS attempts,"
    " iif(o.attempts > 0, o.claimed_at, m.called_at) AS last_call_at"
)
_WITH_CALLS = f"SELECT {_CALLS} FROM messages m LEFT JOIN outbox o ON o.message = m.row"  # noqa: S608 - ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which messages a list holds; None means any. *before* is the key of the last one seen."""

    status: str | None = None
    to: str | None = None
    sender: str | None = None
    tag: str | None = None
    error_code: str | None = None
    mcc: str | None = None
    mnc: str | None = None
    sent_by: str | None = None
    since_us: int | None = None
    until_us: int | None = None
    final: bool | None = None
    limit: int = 100
    before: tuple[int, int] | None = None

    def equalities(self) -> dict[str, str]:
        """The columns that must hold a value, the most telling first; mnc never stands alone."""
        wanted = {
            "recipient_number": self.to,
            "tag": self.tag,
            "error_code": self.error_code,
            "mcc": self.mcc,
            "current_status": self.status,
            "sent_by": self.sent_by,
            "sender_number": self.sender,
            "mnc": self.mnc,
        }
        return {column: value for column, value in wanted.items() if value is not None}


CACHE: Final = "cache_size = -2048"  # KiB; with four times as much no question is faster

_INDEXES: Final = {
    "recipient_number": "messages_by_recipient",
    "tag": "messages_by_tag",
    "error_code": "messages_by_error",
    "mcc": "messages_by_mcc",
    "sent_by": "messages_by_sent_by",
    "current_status": "messages_by_status",
    "sender_number": "messages_by_sender",
}


@dataclass(frozen=True, slots=True)
class Page:
    """One page of messages, newest first; *next* is the key to go on from, None at the end."""

    records: list[Record]
    next: tuple[int, int] | None


class Reader:
    """
    One read-only connection, used from the event loop; raises `StoreUnavailable`.

    It is opened by the first question, and that may come before the store can be opened. Damage
    that a question meets is told to *condemn*, and raised as `StoreDamaged`. Between the parts of a
    long answer it awaits *give_way*.
    """

    def __init__(
        self,
        path: Path,
        *,
        condemn: Callable[[StoreDamaged], None],
        give_way: Callable[[], Awaitable[None]] = _one_turn,
    ) -> None:
        self._path = path
        self._condemn = condemn
        self._give_way = give_way
        self._connection: aiosqlite.Connection | None = None
        self._opening = asyncio.Lock()

    async def close(self) -> None:
        """End the connection and its thread."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _all(self, sql: str, arguments: tuple[object, ...] = ()) -> list[Record]:
        with told(self._path, self._condemn):
            connection = self._connection or await self._open()
            return cast("list[Record]", await connection.execute_fetchall(sql, arguments))

    async def _open(self) -> aiosqlite.Connection:
        async with self._opening:
            if self._connection is None:
                connection = await aiosqlite.connect(
                    _uri(self._path), uri=True, isolation_level=None
                )
                connection.row_factory = _record  # type: ignore[assignment]  # as sqlite3 has it
                for pragma in ("query_only = ON", "wal_autocheckpoint = 0", CACHE):
                    await connection.execute(f"PRAGMA {pragma}")
                self._connection = connection
            return self._connection

    async def _one(self, sql: str, arguments: tuple[object, ...] = ()) -> Record | None:
        rows = await self._all(sql, arguments)
        return rows[0] if rows else None

    async def message(self, message_id: str) -> Record | None:
        """Find one message by our id, an alias of it, or Plivo's id; None when there is none."""
        for condition in (
            "m.id = ?",
            "m.message_uuid = ?",
            "m.row = (SELECT message FROM aliases WHERE id = ?)",
        ):
            found = await self._one(f"{_WITH_CALLS} WHERE {condition}", (message_id,))
            if found is not None:
                return found
        return None

    async def messages_of(self, ids: Sequence[str]) -> dict[str, Record]:
        """Find messages by our ids; those that none has, or an alias, are left out."""
        found: dict[str, Record] = {}
        for start in range(0, len(ids), ROWS_AT_ONCE):
            some = tuple(ids[start : start + ROWS_AT_ONCE])
            marks = ", ".join("?" * len(some))
            rows = await self._all(f"SELECT * FROM messages WHERE id IN ({marks})", some)  # noqa: S608 - marks
            found.update((record["id"], record) for record in rows)
            await self._give_way()
        return found

    async def events_of(self, row: int) -> list[Record]:
        """Give the events of one message, in commit order."""
        sql = f"SELECT {_EVENT}, e.message_uuid FROM events e WHERE e.message = ? ORDER BY e.row"  # noqa: S608 - columns of ours
        return await self._all(sql, (row,))

    async def raw_events_of(self, row: int) -> list[Record]:
        """Give the events of one message in commit order, with what arrived byte by byte."""
        sql = (
            f"SELECT {_EVENT}, e.message_uuid, e.raw FROM events e"  # noqa: S608 - columns of ours
            " WHERE e.message = ? ORDER BY e.row"
        )
        return await self._all(sql, (row,))

    async def messages(self, wanted: Filter) -> Page:
        """Give one page of messages, newest first."""
        page = Page([], wanted.before)
        for count in _stretches(wanted):
            limit = wanted.limit - len(page.records)
            more = await self._stretch(replace(wanted, limit=limit, before=page.next), count)
            page = Page(page.records + more.records, more.next)
            if more.next is None or len(more.records) == limit:
                break
        return page

    async def _stretch(self, wanted: Filter, count: int | None) -> Page:
        """Give what is wanted of the next *count* rows that the index leads to; None: of all."""
        floor = None if count is None else await self._floor(wanted, count)
        found: list[Record] = []
        while True:
            limit = min(ROWS_AT_ONCE, wanted.limit - len(found))
            part = await self._part(replace(wanted, limit=limit), floor)
            found += part
            if len(part) < limit:
                return Page(found, floor)
            last = (part[-1]["created_at"], part[-1]["row"])
            if len(found) == wanted.limit:
                return Page(found, last)
            wanted = replace(wanted, before=last)
            await self._give_way()

    async def _part(self, wanted: Filter, floor: tuple[int, int] | None) -> list[Record]:
        walk, rest, index = _plan(wanted)
        conditions = walk + rest
        if floor is not None:
            conditions.append(("(created_at, row) >= (?, ?)", floor))
        where, arguments = _where(conditions)
        return await self._all(
            f"SELECT * FROM messages INDEXED BY {index} {where}"  # noqa: S608 - words of ours
            " ORDER BY created_at DESC, row DESC LIMIT ?",
            (*arguments, wanted.limit),
        )

    async def _floor(self, wanted: Filter, count: int) -> tuple[int, int] | None:
        """The key of the last of *count* rows that may be looked at; None when there are fewer."""
        walk, _, index = _plan(wanted)
        where, arguments = _where(walk)
        found = await self._one(
            f"SELECT created_at, row FROM messages INDEXED BY {index} {where}"  # noqa: S608 - words of ours
            " ORDER BY created_at DESC, row DESC LIMIT 1 OFFSET ?",
            (*arguments, count - 1),
        )
        return (found["created_at"], found["row"]) if found else None

    async def generation(self) -> str:
        """Name the store's generation, which event cursors belong to."""
        (found,) = await self._all("SELECT value FROM facts WHERE name = 'generation'")
        return str(found["value"])

    async def event_bounds(self) -> tuple[int, int]:
        """Give the oldest event that is kept and the newest one ever written (0 for none)."""
        (found,) = await self._all(
            "SELECT (SELECT min(row) FROM events) AS oldest,"
            " (SELECT seq FROM sqlite_sequence WHERE name = 'events') AS newest"
        )
        newest = found["newest"] or 0
        return found["oldest"] or newest + 1, newest

    async def events_after(self, cursor: int, limit: int) -> list[Record]:
        """Give the events written after *cursor*, in commit order, with their messages' names."""
        found: list[Record] = []
        while True:
            part_limit = min(ROWS_AT_ONCE, limit - len(found))
            part = await self._all(
                f"SELECT {_EVENT}, e.status_after, m.id AS message_id, m.tag, m.recipient_number,"  # noqa: S608 - columns of ours
                " m.sender_number, m.sent_by, m.mcc, m.mnc,"
                " coalesce(e.message_uuid, m.message_uuid) AS message_uuid"
                " FROM events e LEFT JOIN messages m ON m.row = e.message"
                " WHERE e.row > ? ORDER BY e.row LIMIT ?",
                (cursor, part_limit),
            )
            found += part
            if len(part) < part_limit or len(found) == limit:
                return found
            cursor = part[-1]["cursor"]
            await self._give_way()

    async def first_event_since(self, since_us: int) -> int:
        """
        Name the first event received at *since_us* or later; all that are, are it or come after.

        Events are numbered as they were committed, which is nearly in the order of their receipt:
        it is found by halving, and then among the `EXAMINED_MAX` before it.
        """
        oldest, newest = await self.event_bounds()
        low, high = oldest, newest + 1
        while low < high:
            middle = (low + high) // 2
            found = await self._one(
                "SELECT row, received_at FROM events WHERE row >= ? ORDER BY row LIMIT 1", (middle,)
            )
            if found is None or found["received_at"] >= since_us:
                high = middle
            else:
                low = found["row"] + 1
        earlier = await self._one(
            "SELECT row FROM events WHERE row >= ? AND row < ? AND received_at >= ?"
            " ORDER BY row LIMIT 1",
            (low - EXAMINED_MAX, low, since_us),
        )
        return earlier["row"] if earlier else low

    async def messages_between(
        self, after: tuple[int, int], until_us: int, limit: int
    ) -> list[Record]:
        """Give messages made before *until_us*, oldest first, behind the key *after*."""
        return await self._all(
            f"SELECT {_CALLS} FROM messages m INDEXED BY messages_by_time"  # noqa: S608 - ours
            " LEFT JOIN outbox o ON o.message = m.row"
            " WHERE (m.created_at, m.row) > (?, ?) AND m.created_at < ?"
            " ORDER BY m.created_at, m.row LIMIT ?",
            (*after, until_us, limit),
        )

    async def events_of_all(self, rows: Sequence[int]) -> dict[int, list[Record]]:
        """Give the events of several messages, each one's in commit order."""
        found = await self._all(
            f"SELECT {_EVENT}, e.message, e.message_uuid FROM events e"  # noqa: S608 - columns of ours
            f" WHERE e.message IN ({', '.join('?' * len(rows))}) ORDER BY e.message, e.row",
            tuple(rows),
        )
        events: dict[int, list[Record]] = {row: [] for row in rows}
        for record in found:
            events[record["message"]].append(record)
        return events

    async def tallies(self) -> dict[str, int]:
        """Count messages by status, and the outbox by state (`outbox.pending` and so on)."""
        rows = await self._all("SELECT name, n FROM tallies")
        return {row["name"]: row["n"] for row in rows}

    async def refused(self) -> list[Record]:
        """Give the refused callbacks that are kept, the newest first; there are few."""
        return await self._all(
            "SELECT received_at, reason, message_uuid, raw FROM refused ORDER BY row DESC"
        )

    async def token_uses(self) -> list[Record]:
        """Give when each token verified callbacks last."""
        return await self._all("SELECT key, v3_at, v2_at FROM token_uses")

    async def last_callback_us(self) -> int | None:
        """When the last callback came; None if it is not among the newest `EXAMINED_MAX` events."""
        found = await self._one(
            "SELECT received_at FROM events WHERE source = 'callback'"
            " AND row > (SELECT max(row) FROM events) - ? ORDER BY row DESC LIMIT 1",
            (EXAMINED_MAX,),
        )
        return found["received_at"] if found else None

    async def oldest_open_us(self) -> int | None:
        """When the oldest message that is not final was made; None when all are."""
        (found,) = await self._all(
            "SELECT min(created_at) AS oldest FROM messages INDEXED BY messages_open"
            " WHERE final = 0"
        )
        oldest: int | None = found["oldest"]
        return oldest


def _record(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> Record:
    """Make a dict of a row on the reader's thread: of a thousand, the event loop is not held up."""
    return dict(sqlite3.Row(cursor, row))


def _uri(path: Path) -> str:
    return f"{path.absolute().as_uri()}?mode=rw"


_Condition = tuple[str, tuple[object, ...]]


def _plan(wanted: Filter) -> tuple[list[_Condition], list[_Condition], str]:
    """Choose the index to walk; what it cannot answer is the rest, checked row by row."""
    equalities = list(wanted.equalities().items())
    walk: list[_Condition] = []
    rest: list[_Condition] = [(f"{column} = ?", (value,)) for column, value in equalities[1:]]
    if equalities:
        column, value = equalities[0]
        index = _INDEXES[column]
        walk.append((f"{column} = ?", (value,)))
    else:
        index = "messages_open" if wanted.final is False else "messages_by_time"
    if wanted.final is not None:
        condition: _Condition = (f"final = {int(wanted.final)}", ())
        (walk if index == "messages_open" else rest).append(condition)
    if wanted.since_us is not None:
        walk.append(("created_at >= ?", (wanted.since_us,)))
    if wanted.until_us is not None:
        walk.append(("created_at < ?", (wanted.until_us,)))
    if wanted.before is not None:
        walk.append(("(created_at, row) < (?, ?)", wanted.before))
    return walk, rest, index


def _stretches(wanted: Filter) -> tuple[int | None, ...]:
    """Say how many rows are looked at, stretch after stretch; None: as many as it takes."""
    _, rest, _ = _plan(wanted)
    if not rest:
        return (None,)
    if EXAMINED_MAX <= EXAMINED_FIRST:
        return (EXAMINED_MAX,)
    return EXAMINED_FIRST, EXAMINED_MAX - EXAMINED_FIRST


def _where(conditions: list[_Condition]) -> tuple[str, tuple[object, ...]]:
    if not conditions:
        return "", ()
    text = " AND ".join(condition for condition, _ in conditions)
    return f"WHERE {text}", tuple(value for _, values in conditions for value in values)
