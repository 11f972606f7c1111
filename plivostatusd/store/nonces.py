"""
The bare path's ledger: which nonces were used there, and for which requests.

A nonce is known by its hash, of 64 bits, which nobody can choose who does not hold the token; a
request by the beginning of its digest. New entries stand in the table `nonces`, which is only added
to, and are known by heart (`ledger`). By the thousand they are filed into sorted runs
(`nonce_runs`), and runs into greater ones, a small step a transaction, so that neither a callback
nor the disk pays for the size of the ledger.

A new nonce must be looked for wherever an old one may stand. Small runs are behind a `Sieve`, which
nearly always says that it is not there; of great ones there are two or three, and each is asked for
one page.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

from plivostatusd.store import nonce_runs
from plivostatusd.store.ledger import Known

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from plivostatusd.store.nonce_runs import Run
    from plivostatusd.store.transaction import Transaction

RUNS_PER_LEVEL: Final = 4
GREATER_BY: Final = 16
PAGES_PER_DELETION: Final = 50

_ALL: Final = "SELECT entries, key, seen_at FROM nonces"
_OLD: Final = "SELECT row, key FROM nonces WHERE seen_at < ?"
_INSERT: Final = "INSERT INTO nonces (entries, key, seen_at) VALUES (?, ?, ?)"


def digests(transaction: Transaction, given: Iterable[str], digest: bytes) -> set[bytes]:
    """
    Give the digests of the bare path's requests that bore one of the nonces *given*.

    Of each 8 bytes are known; one that agrees with *digest* comes back as that.
    """
    known, sieve = _known(transaction), transaction.sieve
    unfiled, small, great = known.unfiled, known.small, known.great
    found: list[bytes] = []
    wanted: list[tuple[int, bytes]] = []
    for one in map(nonce_runs.hash_of, given):
        if one in unfiled:
            found += _cut(unfiled[one])
        if small and (sieve is None or sieve.may_hold(int.from_bytes(one, "big"))):
            wanted += [(run, one) for run in small]
        if great:
            wanted += [(run, one) for run in great]
    if wanted:
        found += nonce_runs.find(transaction.connection, wanted)
    if not found:
        return set()
    begin = digest[: nonce_runs.HASH_BYTES]
    return {digest if each == begin else each for each in found}


def _cut(digests: bytes) -> list[bytes]:
    size = nonce_runs.HASH_BYTES
    return [digests[at : at + size] for at in range(0, len(digests), size)]


def _known(transaction: Transaction) -> Known:
    """Say what the transaction knows of the ledger, read from the store when it has to be."""
    if transaction.known is None:
        transaction.known = known = Known({}, 0, [], [])
        for entries, *_ in (*transaction.all(_ALL), *transaction.unwritten):
            for entry in nonce_runs.split(entries):
                one, begin = entry[: nonce_runs.HASH_BYTES], entry[nonce_runs.HASH_BYTES :]
                _learn(known, one, begin)
        _look_at_runs(transaction, known)
    return transaction.known


def _look_at_runs(transaction: Transaction, known: Known) -> None:
    """See which runs there are, once that may have changed."""
    known.small, known.great = [], []
    for run in nonce_runs.all_of(transaction.connection):
        (known.great if nonce_runs.is_great(run) else known.small).append(run.run)


def _learn(known: Known, one: bytes, begin: bytes) -> None:
    known.unfiled[one] = known.unfiled.get(one, b"") + begin
    known.held += 1


def remember(
    transaction: Transaction, given: Collection[str], digest: bytes, key: str, seen_us: int
) -> None:
    """Know that a request with this *digest* bore the nonces *given*; `write` writes it down."""
    known, begin = _known(transaction), digest[: nonce_runs.HASH_BYTES]
    entries = b""
    for one in map(nonce_runs.hash_of, given):
        _learn(known, one, begin)
        entries += one + begin
    transaction.unwritten.append((entries, key, seen_us))


def write(transaction: Transaction) -> None:
    """Write down what the transaction's jobs remember, once before COMMIT; file some when due."""
    if not transaction.unwritten:
        return
    ledger = transaction.ledger
    if ledger is not None and not transaction.has_filed:
        is_due = ledger.has_work or _known(transaction).held >= nonce_runs.FILED_AT_ONCE
        if is_due:
            file_some(transaction)
    for row in nonce_runs.by_key(transaction.unwritten):
        transaction.run(_INSERT, row)
    transaction.unwritten.clear()


def file_some(transaction: Transaction) -> bool:
    """
    File new entries, or do a step of merging runs; True while there may be more to do.

    Only in a transaction of the ledger's, where there is one: its sieve must hear of what is filed.
    """
    transaction.has_filed = True
    has_work = _file(transaction) or _merge(transaction)
    ledger = transaction.ledger
    if ledger is not None:
        ledger.has_work = has_work
        has_work = has_work or ledger.coming is not None
    return has_work


def _file(transaction: Transaction) -> bool:
    """File all entries that are in no run, if they are a thousand."""
    if _known(transaction).held < nonce_runs.FILED_AT_ONCE:
        return False
    rows = [*transaction.all(_ALL), *transaction.unwritten]
    filed = nonce_runs.file(transaction.connection, rows)
    transaction.execute("DELETE FROM nonces")
    transaction.unwritten.clear()
    transaction.known = None
    if transaction.ledger is not None:
        transaction.ledger.filed(b"".join(filed))
    return True


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
    _look_at_runs(transaction, _known(transaction))
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
    Delete entries whose tokens nobody trusts any more, if they are that old: a step of a run.

    While a token that was configured then still is, a captured request may still verify (it bears a
    signature by each), so its nonce stays. Entries go by what was written together, and by runs:
    with the newest of them. True while there may be more. What is being merged is left for later.
    """
    trusted = set(keys)
    if _delete_unfiled(transaction, before_us, trusted):
        return True
    runs = nonce_runs.all_of(transaction.connection)
    targets = {run.into_run for run in runs}
    for run in runs:
        is_at_rest = run.into_run is None and run.run not in targets
        if is_at_rest and run.seen_us < before_us and trusted.isdisjoint(run.key.split()):
            nonce_runs.delete_some(transaction.connection, run.run, PAGES_PER_DELETION)
            _look_at_runs(transaction, _known(transaction))
            return True
    return False


def _delete_unfiled(transaction: Transaction, before_us: int, trusted: set[str]) -> bool:
    rows = transaction.all(_OLD, (before_us,))
    dead = [(row,) for row, key in rows if trusted.isdisjoint(key.split())]
    transaction.connection.executemany("DELETE FROM nonces WHERE row = ?", dead)
    if dead:
        transaction.known = None
    return bool(dead)
