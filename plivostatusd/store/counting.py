"""
Where each message is counted in the table `figures`, and writing the sums.

Whoever makes, changes or deletes a message's row tells its transaction (`Transaction.count`), which
writes the sum of a batch before COMMIT. Triggers, which did it for every row, took a seventh of the
writer's time (DECISIONS.md, 2026-11-30).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from plivostatusd.domain import delivery

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

Key = tuple[int, str, str, str, str, str, str, int]
"""What is counted together: day, status, country, tag, mcc, mnc, error and took."""
COLUMNS: Final = "created_at, current_status, country, tag, mcc, mnc, error_code, delivery_ms"
"""What of a message's row says where it is counted; `key` takes their values."""

_DAY_US: Final = 86_400_000_000
_UNKNOWN_TOOK: Final = -1
_MORE: Final = (
    "INSERT INTO figures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET n = n + excluded.n"
)
_OF_KEY: Final = (
    "WHERE day = ? AND status = ? AND country = ? AND tag = ? AND mcc = ? AND mnc = ?"
    " AND error = ? AND took = ?"
)
_LESS: Final = f"UPDATE figures SET n = n + ? {_OF_KEY}"  # noqa: S608 - words of ours
_NONE: Final = f"DELETE FROM figures {_OF_KEY} AND n = 0"  # noqa: S608 - words of ours


def key(columns: tuple[Any, ...]) -> Key:
    """Say where a message is counted of which *columns* are those of `COLUMNS`."""
    created_us, status, country, tag, mcc, mnc, error_code, delivery_ms = columns
    return (
        created_us // _DAY_US,
        status,
        country or "",
        tag or "",
        mcc or "",
        mnc or "",
        error_code or "",
        _UNKNOWN_TOOK if delivery_ms is None else delivery.step_of(delivery_ms),
    )


def write(connection: sqlite3.Connection, moves: Mapping[Key, int]) -> None:
    """Add *moves* to the table: so many messages more, or fewer, a key."""
    more = [(*key, n) for key, n in moves.items() if n > 0]
    less = [(n, *key) for key, n in moves.items() if n < 0]
    connection.executemany(_MORE, more)
    connection.executemany(_LESS, less)
    connection.executemany(_NONE, [key for _, *key in less])
