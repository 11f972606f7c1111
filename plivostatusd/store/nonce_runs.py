"""
Sorted runs of the ledger's entries: how they are written, searched, merged and deleted.

A run is written in ascending order and never added to, so its pages lie side by side in the file,
and an insert costs a share of one page where a place in an index would cost a page of its own. An
entry is 16 bytes: 8 of the nonce's hash, and the first 8 of the request's digest. Its page is found
by the run and the first 37 bits of the hash; entries that agree in those share a page.

A page is named by its last entry, as a tree leads to the first key that is not less: named by its
first one, each search would come to the page behind it and read that in vain.

Whatever happens to a run happens in a transaction: an entry is always in exactly one of them.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from functools import lru_cache
from hashlib import blake2b
from itertools import groupby, islice, takewhile
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence

HASH_BYTES: Final = 8
ENTRY_BYTES: Final = 16
ENTRIES_PER_PAGE: Final = 252
"""As many as fit on a page of SQLite's, which is 4 KiB, without a second one."""
PAGES_PER_STEP: Final = 8
FILED_AT_ONCE: Final = 1_024
"""Entries that make a run. Until then they are in `nonces`, and in the writer's memory."""
AT_ONCE_MAX: Final = 1 << 16
"""Entries of an older store that make a run: sorted in memory, which takes some 30 MiB."""
GREAT_LEVEL: Final = 6
"""Runs of 4 million entries and more are not behind the sieve, and are merged two by two."""
_PREFIX_BITS: Final = 37
_REST_BITS: Final = 64 - _PREFIX_BITS
_PREFIX_MAX: Final = (1 << _PREFIX_BITS) - 1

_RUNS: Final = "SELECT run, entries, key, seen_at, into_run FROM nonce_runs ORDER BY run"
_PAGE: Final = "(SELECT entries FROM nonce_pages WHERE row BETWEEN ? AND ? ORDER BY row LIMIT 1)"
_PAGES: Final = (
    "SELECT row, entries FROM nonce_pages WHERE row BETWEEN ? AND ? ORDER BY row LIMIT ?"
)
_DELETE: Final = "DELETE FROM nonce_pages WHERE row BETWEEN ? AND ?"


Unfiled = tuple[bytes, str, int]
"""Entries behind one another, with what `nonces` has beside them: key and seen_at."""


class Run(NamedTuple):
    """One run, as `nonce_runs` tells of it."""

    run: int
    entries: int
    key: str
    seen_us: int
    into_run: int | None


def level_of(run: Run) -> int:
    """Count how often four runs were merged, by the size: 0 for what was filed together."""
    return max(0, (run.entries // FILED_AT_ONCE).bit_length() - 1) // 2


def is_great(run: Run) -> bool:
    """Say whether *run* is asked for each nonce, sieve or not."""
    return level_of(run) >= GREAT_LEVEL


@lru_cache(maxsize=64)  # whoever remembers one has looked for it
def hash_of(nonce: str) -> bytes:
    """Tell a nonce from others, by 8 bytes."""
    return blake2b(nonce.encode(), digest_size=HASH_BYTES).digest()


def entry_of(nonce: str, digest: bytes) -> bytes:
    """Spell the entry of a request with this *digest* that bore *nonce*."""
    return hash_of(nonce) + digest[:HASH_BYTES]


def all_of(connection: sqlite3.Connection) -> list[Run]:
    """Give all runs, the oldest first; there are a few dozen."""
    rows = connection.execute(_RUNS)
    return list(map(Run._make, rows))


def make(connection: sqlite3.Connection, entries: int, key: str, seen_us: int) -> int:
    """Begin a run that is to hold so many *entries*; its number comes back."""
    number = connection.execute(
        "INSERT INTO nonce_runs (entries, key, seen_at) VALUES (?, ?, ?)", (entries, key, seen_us)
    ).lastrowid
    assert number is not None
    return number


def by_key(rows: Iterable[Unfiled]) -> Iterator[Unfiled]:
    """Put together what *rows* have of the same key."""
    for key, of_key in groupby(sorted(rows, key=_key_of), _key_of):
        contents, _, seen = zip(*of_key, strict=True)
        yield b"".join(contents), key, max(seen)


def _key_of(row: Unfiled) -> str:
    return row[1]


def file(connection: sqlite3.Connection, rows: Iterable[Unfiled]) -> list[bytes]:
    """Make a run for each key of what stands in *rows*; all that is filed comes back."""
    filed: list[bytes] = []
    for content, key, seen_us in by_key(rows):
        entries = sorted(split(content))
        append(connection, make(connection, len(entries), key, seen_us), entries)
        filed += entries
    return filed


def file_older(connection: sqlite3.Connection, rows: Iterable[tuple[str, bytes, str, int]]) -> None:
    """File *rows* of `nonces` as they were up to schema 5: nonce, digest, key and seen_at."""
    given = ((entry_of(nonce, digest), key, seen_us) for nonce, digest, key, seen_us in rows)
    while some := list(islice(given, AT_ONCE_MAX)):
        file(connection, some)


def append(connection: sqlite3.Connection, run: int, entries: Sequence[bytes]) -> None:
    """Write sorted *entries* behind those that *run* has."""
    connection.executemany("INSERT INTO nonce_pages VALUES (?, ?)", _paged(run, entries))


def _paged(run: int, entries: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
    start = 0
    while start < len(entries):
        end = min(start + ENTRIES_PER_PAGE, len(entries))
        while end < len(entries) and _prefix(entries[end]) == _prefix(entries[end - 1]):
            end += 1
        yield run << _PREFIX_BITS | _prefix(entries[end - 1]), b"".join(entries[start:end])
        start = end


def _prefix(entry: bytes) -> int:
    return int.from_bytes(entry[:HASH_BYTES], "big") >> _REST_BITS


def _span(run: int, first: int = 0) -> tuple[int, int]:
    return run << _PREFIX_BITS | first, run << _PREFIX_BITS | _PREFIX_MAX


def find(connection: sqlite3.Connection, wanted: Sequence[tuple[int, bytes]]) -> set[bytes]:
    """Give the digests, 8 bytes each, that stand with what is *wanted*: pairs of run and hash."""
    arguments = [bound for run, one in wanted for bound in _span(run, _prefix(one))]
    pages = connection.execute(_asking(len(wanted)), arguments).fetchone()
    return {
        digest
        for (_, one), page in zip(wanted, pages, strict=True)
        if page is not None and one in page
        for digest in _with(one, page)
    }


@lru_cache(maxsize=128)
def _asking(count: int) -> str:
    """Ask for *count* pages at once: a statement each takes twice the time."""
    return f"SELECT {', '.join([_PAGE] * count)}"


def _with(one: bytes, page: bytes) -> Iterator[bytes]:
    at = page.find(one)
    while at >= 0:
        if at % ENTRY_BYTES == 0:
            yield page[at + HASH_BYTES : at + ENTRY_BYTES]
        at = page.find(one, at + 1)


def merge_some(connection: sqlite3.Connection, target: int, sources: Iterable[int]) -> bool:
    """
    Move the next entries of all *sources* into *target*; True while there are more.

    What one step reads of a source reaches up to some hash, and only what all of them reach is
    moved: so what is moved is sorted behind what was.
    """
    pages = {run: _first_pages(connection, run) for run in sources}
    reached = min(
        (_prefix(found[-1][1][-ENTRY_BYTES:]) for found in pages.values() if _may_go_on(found)),
        default=_PREFIX_MAX,
    )
    moved: list[bytes] = []
    for run, found in pages.items():
        moved += _cut_off(connection, run, found, reached)
    moved.sort()
    append(connection, target, moved)
    return reached < _PREFIX_MAX


def _first_pages(connection: sqlite3.Connection, run: int) -> list[tuple[int, bytes]]:
    return connection.execute(_PAGES, (*_span(run), PAGES_PER_STEP)).fetchall()


def _may_go_on(found: list[tuple[int, bytes]]) -> bool:
    return len(found) == PAGES_PER_STEP


def _cut_off(
    connection: sqlite3.Connection, run: int, found: list[tuple[int, bytes]], reached: int
) -> list[bytes]:
    """Take a run's entries up to *reached* out of it; the rest of the last page stays."""
    touched = list(takewhile(lambda each: _prefix(each[1]) <= reached, found))
    entries = split(b"".join(page for _, page in touched))
    end = len(entries)
    if reached < _PREFIX_MAX:
        end = bisect_left(entries, (reached + 1 << _REST_BITS).to_bytes(HASH_BYTES, "big"))
    if touched:
        connection.execute(_DELETE, (first_row(run), touched[-1][0]))
    append(connection, run, entries[end:])
    return entries[:end]


def split(content: bytes) -> list[bytes]:
    """Give the entries that *content* is made of."""
    count = len(content) // ENTRY_BYTES
    return list(struct.unpack_from(f"{ENTRY_BYTES}s" * count, content))


def hashes_in(content: bytes) -> tuple[int, ...]:
    """Give the hashes of all entries that *content* is made of."""
    count = len(content) // ENTRY_BYTES
    return struct.unpack_from(">" + "Q8x" * count, content)


def pages_after(
    connection: sqlite3.Connection, after: int, last_run: int, limit: int
) -> list[tuple[int, bytes]]:
    """Give some pages behind the row *after*, in the order of runs, up to those of *last_run*."""
    return connection.execute(_PAGES, (after + 1, _span(last_run)[1], limit)).fetchall()


def first_row(run: int) -> int:
    """Name the first row that a page of *run* may have."""
    return _span(run)[0]


def remove(connection: sqlite3.Connection, runs: Iterable[int]) -> None:
    """Strike runs off that have no entries any more."""
    connection.executemany("DELETE FROM nonce_runs WHERE run = ?", [(run,) for run in runs])


def delete_some(connection: sqlite3.Connection, run: int, limit: int) -> bool:
    """Delete some pages of *run*, and then the run; True while there are more."""
    deleted = connection.execute(
        "DELETE FROM nonce_pages WHERE row IN"
        " (SELECT row FROM nonce_pages WHERE row BETWEEN ? AND ? ORDER BY row LIMIT ?)",
        (*_span(run), limit),
    ).rowcount
    if deleted < limit:
        remove(connection, [run])
    return deleted == limit
