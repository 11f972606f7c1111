"""Runs of the ledger's entries: written, searched and merged, page by page."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from plivostatusd.store import database, nonce_runs

PAGE_BYTES = 4096


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Open a store, in a transaction."""
    with closing(database.connect_writer(tmp_path / "status.db")) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a page hold little, and a step read little."""
    monkeypatch.setattr(nonce_runs, "ENTRIES_PER_PAGE", 3)
    monkeypatch.setattr(nonce_runs, "PAGES_PER_STEP", 2)


def entries(chance: random.Random, count: int) -> list[bytes]:
    """Draw some entries, sorted."""
    return sorted(chance.randbytes(16) for _ in range(count))


def written(connection: sqlite3.Connection, content: list[bytes]) -> int:
    """Make a run of them."""
    run = nonce_runs.make(connection, len(content), "key", 1)
    nonce_runs.append(connection, run, content)
    return run


def held(connection: sqlite3.Connection, run: int) -> list[bytes]:
    """Give what a run holds, in the order of its pages."""
    last = nonce_runs.first_row(run + 1) - 1
    rows = connection.execute(
        "SELECT entries FROM nonce_pages WHERE row BETWEEN ? AND ? ORDER BY row",
        (nonce_runs.first_row(run), last),
    )
    return [entry for (content,) in rows for entry in nonce_runs.split(content)]


def test_a_hash_is_of_eight_bytes() -> None:
    """Hashes tell nonces apart, and stay what they are: they are in stores."""
    assert "3cf162ca096efc84" == nonce_runs.hash_of("12345678901234567890").hex()
    assert nonce_runs.hash_of("12345678") != nonce_runs.hash_of("12345679")


def test_a_page_is_one_of_sqlites(connection: sqlite3.Connection, chance: random.Random) -> None:
    """A full page of a run takes one of SQLite's, and none beside it."""
    before = connection.execute("PRAGMA page_count").fetchone()[0]
    written(connection, entries(chance, 40 * nonce_runs.ENTRIES_PER_PAGE))
    after = connection.execute("PRAGMA page_count").fetchone()[0]
    assert 40 <= after - before <= 42


def test_found_where_it_is(connection: sqlite3.Connection, chance: random.Random) -> None:
    """Each entry is found in its run by its hash, and in no other."""
    contents = [entries(chance, 600), entries(chance, 5), []]
    runs = [written(connection, content) for content in contents]
    for run, content in zip(runs, contents, strict=True):
        for entry in content:
            wanted = [(each, entry[:8]) for each in runs]
            assert {entry[8:]} == nonce_runs.find(connection, wanted)
            assert {entry[8:]} == nonce_runs.find(connection, [(run, entry[:8])])
            others = [(each, entry[:8]) for each in runs if each != run]
            assert set() == nonce_runs.find(connection, others)


@pytest.mark.usefixtures("small")
def test_named_by_its_last_entry(connection: sqlite3.Connection, chance: random.Random) -> None:
    """A page bears the number of its last entry, to which a search leads at once."""
    run = written(connection, entries(chance, 20))
    rows = connection.execute("SELECT row, entries FROM nonce_pages ORDER BY row").fetchall()
    lasts = [int.from_bytes(content[-16:-8], "big") >> 27 for _, content in rows]
    assert [nonce_runs.first_row(run) + last for last in lasts] == [row for row, _ in rows]
    assert 7 == len(rows)


@pytest.mark.usefixtures("small")
def test_older_pages_are_renamed(tmp_path: Path, chance: random.Random) -> None:
    """Pages of a schema that named them by their first entries are found by their last ones."""
    path = tmp_path / "older.db"
    contents = [entries(chance, 20), sorted([b"\xff" * 16, b"\0" * 16, *entries(chance, 9)])]
    with closing(sqlite3.connect(path, isolation_level=None)) as older:
        for step in database.migrations()[:-1]:
            older.executescript(step)
        runs = [written(older, content) for content in contents]
        older.execute(f"PRAGMA application_id = {database.APPLICATION_ID}")
        older.execute(f"PRAGMA user_version = {len(database.migrations()) - 1}")
        wanted = older.execute("SELECT * FROM nonce_pages ORDER BY row").fetchall()
        for row, content in wanted:
            first = row >> 37 << 37 | int.from_bytes(content[:8], "big") >> 27
            older.execute("UPDATE nonce_pages SET row = ? WHERE row = ?", (first, row))
    with closing(database.connect_writer(path)) as connection:
        assert wanted == connection.execute("SELECT * FROM nonce_pages ORDER BY row").fetchall()
        for run, content in zip(runs, contents, strict=True):
            assert content == held(connection, run)
            for entry in content:
                assert {entry[8:]} == nonce_runs.find(connection, [(run, entry[:8])])


@pytest.mark.usefixtures("small")
def test_one_hash_many_digests(connection: sqlite3.Connection) -> None:
    """Entries of one hash share a page, however many they are, and all of them are found."""
    one = b"\x7f" * 8
    same = [one + bytes([number]) * 8 for number in range(10)]
    others = [bytes([first]) * 16 for first in (1, 2, 3, 4, 200, 201)]
    run = written(connection, sorted(same + others))
    assert {entry[8:] for entry in same} == nonce_runs.find(connection, [(run, one)])


def test_a_digest_is_no_hash(connection: sqlite3.Connection) -> None:
    """Bytes that match across the borders of entries are not an entry."""
    run = written(connection, [b"a" * 8 + b"b" * 8, b"c" * 8 + b"d" * 8])
    for between in (b"aaaabbbb", b"b" * 8, b"bbbbcccc", b"d" * 8):
        assert set() == nonce_runs.find(connection, [(run, between)])


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("sizes", [(7, 7, 7, 7), (100, 6), (6, 100), (1, 0), (0, 0), (50, 50, 1)])
def test_merged(
    connection: sqlite3.Connection, chance: random.Random, sizes: tuple[int, ...]
) -> None:
    """Step by step all entries of some runs become those of one; each is found at every moment."""
    contents = [entries(chance, size) for size in sizes]
    runs = [written(connection, content) for content in contents]
    every = sorted(entry for content in contents for entry in content)
    target = nonce_runs.make(connection, len(every), "key", 1)
    more, steps = True, 0
    while more:
        more = nonce_runs.merge_some(connection, target, runs)
        steps += 1
        for entry in every:
            wanted = [(run, entry[:8]) for run in (*runs, target)]
            assert {entry[8:]} == nonce_runs.find(connection, wanted)
    assert every == held(connection, target)
    assert [] == [entry for run in runs for entry in held(connection, run)]
    assert steps >= len(every) / 6 / len(sizes)


@pytest.mark.usefixtures("small")
def test_merged_where_hashes_agree(connection: sqlite3.Connection) -> None:
    """Runs that hold the same hashes, at the borders of pages too, lose none in merging."""
    hashes = [bytes([number, 1]) + b"\0" * 6 for number in range(20)]
    hashes[5:9] = [hashes[5]] * 4
    contents = [sorted(one + bytes([run]) * 8 for one in hashes) for run in range(3)]
    contents.append([b"\xff" * 16] * 8)
    runs = [written(connection, content) for content in contents]
    target = nonce_runs.make(connection, 0, "key", 1)
    while nonce_runs.merge_some(connection, target, runs):
        pass
    every = sorted(entry for content in contents for entry in content)
    assert every == held(connection, target)
    for one in {entry[:8] for entry in every}:
        wanted = {entry[8:] for entry in every if entry[:8] == one}
        assert wanted == nonce_runs.find(connection, [(target, one)])


def test_deleted(connection: sqlite3.Connection, chance: random.Random) -> None:
    """A run is deleted some pages a step, and struck off at the end; its neighbours stay."""
    contents = [entries(chance, 2_000) for _ in range(3)]
    runs = [written(connection, content) for content in contents]
    assert nonce_runs.delete_some(connection, runs[1], 5)
    assert 3 == len(nonce_runs.all_of(connection))
    assert not nonce_runs.delete_some(connection, runs[1], 5)
    assert [runs[0], runs[2]] == [run.run for run in nonce_runs.all_of(connection)]
    assert [] == held(connection, runs[1])
    assert [contents[0], contents[2]] == [held(connection, runs[0]), held(connection, runs[2])]


def test_hashes_in_pages(connection: sqlite3.Connection, chance: random.Random) -> None:
    """Pages come in the order of runs, up to the last one named, and tell their hashes."""
    contents = [entries(chance, 600) for _ in range(3)]
    runs = [written(connection, content) for content in contents]
    found: list[int] = []
    after = 0
    while pages := nonce_runs.pages_after(connection, after, runs[1], 1):
        ((after, content),) = pages
        found += nonce_runs.hashes_in(content)
    assert found == [
        int.from_bytes(entry[:8], "big") for content in contents[:2] for entry in content
    ]
