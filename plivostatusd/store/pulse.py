"""
The daemon's heartbeat, in the store: how the last process ended, and how long nobody was there.

Facts of that name: `heartbeat` (the wall clock and the steady one, microseconds), `running` (there
until a clean stop), `gap` (from, until: a time of which callbacks may have been lost for ever).
Runs inside the writer's transactions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from plivostatusd.store.transaction import Transaction

_HEARTBEAT: Final = "heartbeat"
_RUNNING: Final = "running"
_GAP: Final = "gap"

Beat = tuple[int, int]
Gap = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Past:
    """
    What an earlier process left. *away_us*: how long nobody was there; None for a new store.

    *drift_us* is to be added to its steady instants, for they are of a clock that is gone.
    *heartbeat* is its last one, by the wall clock and by the steady one.
    """

    away_us: int | None
    was_clean: bool
    drift_us: int
    heartbeat: Beat | None = None


def begin(transaction: Transaction, wall_us: int, steady_us: int) -> Past:
    """Say that a process is there now, and what was before."""
    heartbeat = _fact(transaction, _HEARTBEAT)
    was_clean = _fact(transaction, _RUNNING) is None
    past = Past(None, was_clean, 0)
    if heartbeat is not None:
        last_wall_us, last_steady_us = map(int, heartbeat.split())
        past = Past(
            away_us=max(0, wall_us - last_wall_us),
            was_clean=was_clean,
            drift_us=last_wall_us - last_steady_us,
            heartbeat=(last_wall_us, last_steady_us),
        )
    _note(transaction, _RUNNING, "1")
    beat(transaction, wall_us, steady_us)
    return past


def beat(transaction: Transaction, wall_us: int, steady_us: int) -> None:
    """Say that the process is still there."""
    _note(transaction, _HEARTBEAT, f"{wall_us} {steady_us}")


def end(transaction: Transaction, wall_us: int, steady_us: int) -> None:
    """Say that the process ends in good order."""
    beat(transaction, wall_us, steady_us)
    transaction.execute("DELETE FROM facts WHERE name = ?", (_RUNNING,))


def open_gap(transaction: Transaction, from_us: int, until_us: int) -> Gap:
    """Remember a gap until `close_gap`; one that is still open already is made longer."""
    before = gap(transaction)
    whole = (min(from_us, before[0]) if before else from_us, until_us)
    _note(transaction, _GAP, f"{whole[0]} {whole[1]}")
    return whole


def gap(transaction: Transaction) -> Gap | None:
    """Give the gap that is not filled yet."""
    found = _fact(transaction, _GAP)
    if found is None:
        return None
    from_us, until_us = map(int, found.split())
    return from_us, until_us


def close_gap(transaction: Transaction, filled: Gap) -> None:
    """Forget the gap that was *filled*; one that was opened or made longer since stays."""
    if gap(transaction) == filled:
        transaction.execute("DELETE FROM facts WHERE name = ?", (_GAP,))


def _fact(transaction: Transaction, name: str) -> str | None:
    row = transaction.one("SELECT value FROM facts WHERE name = ?", (name,))
    return row[0] if row else None


def _note(transaction: Transaction, name: str, value: str) -> None:
    transaction.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))
