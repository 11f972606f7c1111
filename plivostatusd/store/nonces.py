"""
The bare path's ledger: which nonces were used there, and for which requests.

New entries stand in the table `nonces`, as they came. By the thousand they are filed into sorted
runs (`nonce_runs`), and runs into greater ones, a small step a transaction, so that neither a
callback nor the disk pays for the size of the ledger. What is filed is known by its hash: of 64
bits, which nobody can choose who does not hold the token.

A new nonce must be looked for wherever an old one may stand. Small runs are behind a `Sieve`, which
nearly always says that it is not there; of great ones there are two or three, and each is asked for
one page.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

from plivostatusd.store import nonce_runs
from plivostatusd.store.ledger import Places

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from plivostatusd.store.nonce_runs import Run
    from plivostatusd.store.transaction import Transaction

RUNS_PER_LEVEL: Final = 4
GREATER_BY: Final = 16
PAGES_PER_DELETION: Final = 50

_DIGESTS: Final = "SELECT digest FROM nonces WHERE nonce = ?"
_IS_FULL: Final = "SELECT 1 FROM nonces LIMIT 1 OFFSET ?"
_FIRST: Final = "SELECT nonce, digest, key, seen_at FROM nonces ORDER BY nonce, digest LIMIT ?"
_DELETE: Final = "DELETE FROM nonces WHERE (nonce, digest) <= (?, ?)"
_INSERT: Final = "INSERT INTO nonces VALUES (?, ?, ?, ?)"


def digests(transaction: Transaction, given: Iterable[str], digest: bytes) -> set[bytes]:
    """
    Give the digests of the bare path's requests that bore one of the nonces *given*.

    Of filed ones 8 bytes are known; one that agrees with *digest* comes back as that.
    """
    found = {each for nonce in given for (each,) in transaction.execute(_DIGESTS, (nonce,))}
    if wanted := list(_wanted(transaction, given)):
        begin = digest[: nonce_runs.HASH_BYTES]
        for each in nonce_runs.find(transaction.connection, wanted):
            found.add(digest if each == begin else each)
    return found


def _wanted(transaction: Transaction, given: Iterable[str]) -> Iterator[tuple[int, bytes]]:
    """Say which hashes are to be looked for in which runs."""
    small, great = _places(transaction)
    if not (small or great):
        return
    ledger = transaction.ledger
    sieve = ledger.sieve if ledger is not None else None
    for nonce in given:
        one = nonce_runs.hash_of(nonce)
        if sieve is None or sieve.may_hold(int.from_bytes(one, "big")):
            yield from ((run, one) for run in small)
        yield from ((run, one) for run in great)


def _places(transaction: Transaction) -> Places:
    if transaction.places is None:
        places = Places([], [])
        for run in nonce_runs.all_of(transaction.connection):
            (places.great if nonce_runs.is_great(run) else places.small).append(run.run)
        transaction.places = places
    return transaction.places


def remember(
    transaction: Transaction, given: Collection[str], digest: bytes, key: str, seen_us: int
) -> None:
    """Write down that a request with this *digest* bore the nonces *given*; file some when due."""
    rows = [(nonce, digest, key, seen_us) for nonce in given]
    transaction.connection.executemany(_INSERT, rows)
    ledger = transaction.ledger
    if ledger is None:
        return
    ledger.unfiled += len(given)
    is_due = ledger.has_work or ledger.unfiled >= nonce_runs.FILED_AT_ONCE
    if is_due and not transaction.has_filed:
        file_some(transaction)


def file_some(transaction: Transaction) -> bool:
    """File new entries, or do a step of merging runs; True while there may be more to do."""
    transaction.has_filed = True
    transaction.places = None
    has_work = _file(transaction) or _merge(transaction)
    ledger = transaction.ledger
    if ledger is not None:
        ledger.has_work, ledger.unfiled = has_work, 0
        has_work = has_work or ledger.coming is not None
    return has_work


def _file(transaction: Transaction) -> bool:
    """File the first thousand entries that are not, if there are as many."""
    if transaction.one(_IS_FULL, (nonce_runs.FILED_AT_ONCE - 1,)) is None:
        return False
    rows = transaction.execute(_FIRST, (nonce_runs.FILED_AT_ONCE,)).fetchall()
    for key, of_key in groupby(sorted(rows, key=_key_of), _key_of):
        _file_all(transaction, list(of_key), key)
    transaction.execute(_DELETE, rows[-1][:2])
    return True


def _key_of(row: tuple[str, bytes, str, int]) -> str:
    return row[2]


def _file_all(transaction: Transaction, rows: list[tuple[str, bytes, str, int]], key: str) -> None:
    size = nonce_runs.HASH_BYTES
    entries = sorted(nonce_runs.hash_of(nonce) + digest[:size] for nonce, digest, *_ in rows)
    seen_us = max(row[3] for row in rows)
    run = nonce_runs.make(transaction.connection, len(entries), key, seen_us)
    nonce_runs.append(transaction.connection, run, entries)
    if transaction.ledger is not None:
        transaction.ledger.filed(b"".join(entries))


def _merge(transaction: Transaction) -> bool:
    """Do a step of the least merge that is under way or due; False when there is none."""
    runs = nonce_runs.all_of(transaction.connection)
    under_way: dict[int, list[Run]] = {}
    for run in runs:
        if run.into_run is not None:
            under_way.setdefault(run.into_run, []).append(run)
    idle = [run for run in runs if run.into_run is None and run.run not in under_way]
    merges = [*under_way.items(), *((None, due) for due in _due(idle))]
    if not merges:
        return False
    target, sources = min(merges, key=lambda merge: _total(merge[1]))
    if target is None:
        target = _begin(transaction, sources)
    numbers = [run.run for run in sources]
    if not nonce_runs.merge_some(transaction.connection, target, numbers):
        nonce_runs.remove(transaction.connection, numbers)
    return True


def _due(idle: list[Run]) -> Iterator[list[Run]]:
    """Say which runs are to be merged: four of a size, or two great ones not too unlike."""
    alike = sorted(idle, key=_kind_of)
    for (_, level), of_kind in groupby(alike, _kind_of):
        runs = sorted(of_kind, key=lambda run: run.entries)
        if level < nonce_runs.GREAT_LEVEL:
            if len(runs) >= RUNS_PER_LEVEL:
                yield runs[:RUNS_PER_LEVEL]
        elif len(runs) > 1 and runs[1].entries < GREATER_BY * runs[0].entries:
            yield runs[:2]


def _begin(transaction: Transaction, sources: list[Run]) -> int:
    seen_us = max(run.seen_us for run in sources)
    target = nonce_runs.make(transaction.connection, _total(sources), sources[0].key, seen_us)
    transaction.connection.executemany(
        "UPDATE nonce_runs SET into_run = ? WHERE run = ?", [(target, run.run) for run in sources]
    )
    return target


def _total(runs: list[Run]) -> int:
    return sum(run.entries for run in runs)


def _kind_of(run: Run) -> tuple[str, int]:
    """Runs of one kind may be merged: all great ones are, if the same tokens verified them."""
    return run.key, min(nonce_runs.level_of(run), nonce_runs.GREAT_LEVEL)


def delete_dead(transaction: Transaction, before_us: int, keys: Collection[str]) -> bool:
    """
    Delete a step of a run whose tokens nobody trusts any more, if its newest entry is that old.

    True while there may be more. What is being merged is left for later.
    """
    runs = nonce_runs.all_of(transaction.connection)
    targets = {run.into_run for run in runs}
    for run in runs:
        is_at_rest = run.into_run is None and run.run not in targets
        if is_at_rest and run.seen_us < before_us and set(keys).isdisjoint(run.key.split()):
            transaction.places = None
            nonce_runs.delete_some(transaction.connection, run.run, PAGES_PER_DELETION)
            return True
    return False
