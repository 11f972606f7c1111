"""The ledger: filed, merged, rolled back or started anew, it forgets no nonce that was used."""

from __future__ import annotations

import random
import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path

import pytest

from plivostatusd.domain.errors import ReplayRefused
from plivostatusd.store import database, ledger, nonce_runs, nonces, sieve
from plivostatusd.store.ledger import Ledger
from plivostatusd.store.transaction import Transaction
from tests.unit.store_place import Place, opened, uuid


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a few entries be what takes thousands in life."""
    for module, name, value in (
        (nonce_runs, "FILED_AT_ONCE", 4),
        (nonce_runs, "GREAT_LEVEL", 2),
        (nonces, "GREATER_BY", 3),
        (ledger, "PAGES_PER_STEP", 2),
        (nonces, "PAGES_PER_DELETION", 2),
        (ledger, "FULL", 60),
        (nonce_runs, "ENTRIES_PER_PAGE", 3),
        (nonce_runs, "PAGES_PER_STEP", 2),
        (sieve, "_BITS_LOG2", 10),
        (sieve, "_MASK", (1 << 10) - 1),
        (sieve, "_UPPER", 54),
    ):
        monkeypatch.setattr(module, name, value)


class Life:
    """A ledger, and what it must know: digests by nonce."""

    def __init__(self, connection: sqlite3.Connection, chance: random.Random) -> None:
        self.connection = connection
        self.chance = chance
        self.known: defaultdict[str, set[bytes]] = defaultdict(set)
        self.ledger: Ledger | None = Ledger()

    def transaction(self) -> None:
        """Do some things; see that all is known; commit, or roll back."""
        self.connection.execute("BEGIN IMMEDIATE")
        transaction = Transaction(self.connection, self.ledger)
        before = {nonce: set(digests) for nonce, digests in self.known.items()}
        for _ in range(self.chance.randrange(4)):
            self.do(transaction)
        if self.chance.random() < 0.25:
            self.connection.execute("ROLLBACK")
            self.known = defaultdict(set, before)
        else:
            self.connection.execute("COMMIT")

    def do(self, transaction: Transaction) -> None:
        """Remember a request, or file, or do either in a savepoint that fails; and look."""
        doing = self.chance.choice(["remember", "remember", "remember", "file", "fail"])
        if doing == "remember":
            self.remember(transaction)
        elif doing == "file":
            nonces.file_some(transaction)
        else:
            moves = transaction.snapshot()
            known = {nonce: set(digests) for nonce, digests in self.known.items()}
            transaction.execute("SAVEPOINT job")
            self.remember(transaction)
            nonces.file_some(transaction)
            self.look(transaction)
            transaction.execute("ROLLBACK TO job")
            transaction.put_back(moves)
            self.known = defaultdict(set, known)
        self.look(transaction)

    def remember(self, transaction: Transaction) -> None:
        """Remember a request of one nonce or two, new or used before with another."""
        new = [f"nonce-{self.chance.getrandbits(60)}" for _ in range(self.chance.choice([1, 2]))]
        if self.known and self.chance.random() < 0.1:
            new.append(self.chance.choice(list(self.known)))
        digest = self.chance.randbytes(16)
        nonces.remember(transaction, new, digest, "key", 1)
        for nonce in new:
            self.known[nonce].add(digest)

    def look(self, transaction: Transaction) -> None:
        """Ask for all that is known, and for what is not."""
        for nonce, digests in self.known.items():
            digest = min(digests)
            found = nonces.digests(transaction, [nonce], digest)
            assert digest in found
            assert {each[:8] for each in digests} == {each[:8] for each in found}
        fresh = f"fresh-{self.chance.getrandbits(60)}"
        assert set() == nonces.digests(transaction, [fresh, fresh + "x"], b"d" * 16)


@pytest.mark.parametrize("turn", range(8))
def test_a_used_nonce_is_known(tmp_path: Path, chance: random.Random, turn: int) -> None:
    """Of requests remembered and committed every nonce is known, with its digests; no other is."""
    with closing(database.connect_writer(tmp_path / "status.db")) as connection:
        life = Life(connection, chance)
        for _ in range(80):
            if life.chance.random() < 0.1:  # a new process
                life.ledger = Ledger() if turn % 4 else None
            life.transaction()
        runs = nonce_runs.all_of(connection)
        assert len(runs) > 1
        pages = connection.execute("SELECT entries FROM nonce_pages").fetchall()
        filed = sum(len(content) for (content,) in pages) // nonce_runs.ENTRY_BYTES
        (unfiled,) = connection.execute("SELECT count(*) FROM nonces").fetchone()
        assert filed + unfiled == sum(map(len, life.known.values()))


def test_the_sieve_is_made_anew(tmp_path: Path, chance: random.Random) -> None:
    """A sieve that has become full is exchanged, and the new one holds all small runs."""
    with closing(database.connect_writer(tmp_path / "status.db")) as connection:
        life = Life(connection, chance)
        sieves = []
        for _ in range(150):
            life.transaction()
            assert life.ledger is not None
            sieves.append(life.ledger.sieve)  # kept, so that no two have one id
        assert len({id(sieve) for sieve in sieves if sieve is not None}) > 1


def test_filing_comes_to_an_end(tmp_path: Path) -> None:
    """Step after step a ledger of any size is filed, into few runs, and then there is no more."""
    with closing(database.connect_writer(tmp_path / "status.db")) as connection:
        connection.executemany(
            "INSERT INTO nonces VALUES (?, ?, 'key', ?)",
            [(f"nonce-{number}", number.to_bytes(16, "big"), number) for number in range(403)],
        )
        remembered, steps = Ledger(), 0
        has_more = True
        while has_more:
            connection.execute("BEGIN IMMEDIATE")
            has_more = nonces.file_some(Transaction(connection, remembered))
            connection.execute("COMMIT")
            steps += 1
            assert steps < 2_000
        assert (3,) == connection.execute("SELECT count(*) FROM nonces").fetchone()
        runs = nonce_runs.all_of(connection)
        assert len(runs) <= 3 + 3 + 3
        assert 400 == sum(run.entries for run in runs)
        assert {None} == {run.into_run for run in runs}


def test_dead_runs_are_deleted(tmp_path: Path) -> None:
    """A run goes once nobody trusts its tokens and its newest entry is old; others stay."""
    with closing(database.connect_writer(tmp_path / "status.db")) as connection:
        for key, first in (("old", 0), ("old new", 100), ("new", 200)):
            connection.executemany(
                "INSERT INTO nonces VALUES (?, ?, ?, ?)",
                [(f"nonce-{n}", n.to_bytes(16, "big"), key, n) for n in range(first, first + 40)],
            )

        def all_steps(step: object, *arguments: object) -> None:
            assert callable(step)
            while step(Transaction(connection), *arguments):
                pass

        all_steps(nonces.file_some)
        assert {"old", "old new", "new"} == {run.key for run in nonce_runs.all_of(connection)}
        all_steps(nonces.delete_dead, 30, {"new"})
        assert {"old", "old new", "new"} == {run.key for run in nonce_runs.all_of(connection)}
        all_steps(nonces.delete_dead, 300, {"new"})
        assert {"old new", "new"} == {run.key for run in nonce_runs.all_of(connection)}
        transaction = Transaction(connection)
        known = [bool(nonces.digests(transaction, [f"nonce-{n}"], b"")) for n in (5, 105, 205)]
        assert [False, True, True] == known
        all_steps(nonces.delete_dead, 300, set())
        assert [] == nonce_runs.all_of(connection)
        assert [] == connection.execute("SELECT * FROM nonce_pages").fetchall()


async def _filed(place: Place) -> None:
    for number in range(100, 120):
        await place.record(message_uuid=uuid(number), nonces=[f"other-nonce-{number}"])
    while await place.writer.submit(nonces.file_some):
        pass
    assert 0 == sum(place.rows("SELECT count(*) FROM nonces WHERE nonce LIKE 'mine%'"))


async def test_replay_rules_after_filing(tmp_path: Path) -> None:
    """What is filed is a repeat, a new event at full and a replay at url-only as before."""
    async with opened(tmp_path) as place:
        same, other = b"s" * 16, b"s" * 7 + b"o" * 9
        told = {"message_uuid": uuid(1), "nonces": ["mine-v3", "mine-v2"]}
        first = await place.record(digest=same, **told)
        await _filed(place)
        assert (await place.record(digest=same, trust="url-only", **told)).cursor is None
        told["nonces"] = ["another-nonce", "mine-v2"]
        with pytest.raises(ReplayRefused):
            await place.record(digest=other, trust="url-only", status="delivered", **told)
        with pytest.raises(ReplayRefused):  # a changed body that names another message
            await place.record(
                digest=other, trust="url-only", message_uuid=uuid(2), nonces=["mine-v2"]
            )
        again = await place.record(digest=other, status="sent", **told)
        assert "nonce_reused" in again.remarks
        assert (first.message_id, "sent") == (again.message_id, again.message_status)
        assert (await place.record(digest=other, **told)).cursor is None


async def test_a_nonce_outlives_its_filed_message(tmp_path: Path) -> None:
    """When a message is gone its request is a repeat still, and a changed one refused."""
    async with opened(tmp_path) as place:
        told = {"message_uuid": uuid(1), "nonces": ["mine-v2"], "trust": "url-only"}
        await place.record(digest=b"s" * 16, **told)
        await _filed(place)
        for table in ("events", "messages", "figures", "tallies"):
            place.connection.execute(f"DELETE FROM {table}")  # noqa: S608 - ours
        assert (await place.record(digest=b"s" * 16, **told)).cursor is None
        with pytest.raises(ReplayRefused):
            await place.record(digest=b"o" * 16, **told)
        assert [] == place.rows("SELECT * FROM messages")
