"""
What the writer remembers of the ledger of nonces from one transaction to the next.

Its truth is in the store (store/nonces.py); what is here spares the writer to ask for it. What must
agree with the store to the entry, `Known`, is lent to a transaction, which gives it back once it is
committed: after any other end the next one reads it from the store.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from plivostatusd.store import nonce_runs
from plivostatusd.store.sieve import FULL, Sieve

if TYPE_CHECKING:
    import sqlite3

PAGES_PER_STEP: Final = 16


@dataclass(slots=True)
class Known:
    """
    What one transaction knows of the ledger, with what it has added itself.

    *unfiled*: by their hashes the entries that are in no run, each the beginnings of its digests,
    one behind the other; *held* counts these. *small* and *great* are the numbers of the runs.
    """

    unfiled: dict[bytes, bytes]
    held: int
    small: list[int]
    great: list[int]


class Ledger:
    """
    What the writer remembers of the ledger from one transaction to the next.

    But for what is lent, nothing in it is wrong once a transaction is rolled back: the sieve then
    holds more than it must, and the rest are hints.
    """

    __slots__ = ("_at", "_connection", "_known", "_total", "coming", "has_work", "sieve")

    def __init__(self) -> None:
        self.sieve: Sieve | None = None  # None until all small runs are in it
        self.coming: Sieve | None = Sieve()  # one that small runs are still put into
        self.has_work = True
        self._at = 0
        self._known: Known | None = None
        self._connection: sqlite3.Connection | None = None
        self._total = 0

    def lend(self, connection: sqlite3.Connection) -> Known | None:
        """
        Give away what is known at the beginning of a transaction; None: it is to be read.

        Nothing is known on another connection, nor once something else was written on this one.
        """
        known, self._known = self._known, None
        is_same = connection is self._connection and connection.total_changes == self._total
        return known if is_same else None

    def take_back(self, connection: sqlite3.Connection, known: Known | None) -> None:
        """Keep what a transaction knew that is committed now."""
        self._known, self._connection = known, connection
        self._total = connection.total_changes

    def catch_up(self, connection: sqlite3.Connection) -> None:
        """
        Put some more pages of small runs into the sieve that is coming.

        Only at the beginning of a transaction, when nothing is seen but what is committed: entries
        move to greater runs, never to one that has been gone past.
        """
        if self.coming is None:
            return
        runs = nonce_runs.all_of(connection)
        small = [run.run for run in runs if not nonce_runs.is_great(run)]
        while small and nonce_runs.first_row(small[0] + 1) <= self._at + 1:
            small.pop(0)
        if not small:
            self.sieve, self.coming, self._at = self.coming, None, 0
            return
        start = max(self._at, nonce_runs.first_row(small[0]) - 1)
        pages = nonce_runs.pages_after(connection, start, small[0], PAGES_PER_STEP)
        for _, content in pages:
            self.coming.add(nonce_runs.hashes_in(content))
        is_whole = len(pages) < PAGES_PER_STEP
        self._at = nonce_runs.first_row(small[0] + 1) - 1 if is_whole else pages[-1][0]

    def filed(self, content: bytes) -> None:
        """Hear of entries that are in a new run now; a sieve that is coming will come to it."""
        if self.sieve is None:
            return
        self.sieve.add(nonce_runs.hashes_in(content))
        if self.coming is None and self.sieve.held > FULL:
            self.coming = Sieve()  # most of what is in the old one is in great runs by now
