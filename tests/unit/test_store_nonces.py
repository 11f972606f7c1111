"""The ledger: filed, merged, rolled back or started anew, it forgets no nonce that was used."""

from __future__ import annotations

import random
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from plivostatusd.domain.errors import ReplayRefused, StoreUnavailable
from plivostatusd.store import database, ledger, nonce_runs, nonces, sieve
from plivostatusd.store.ledger import Ledger
from plivostatusd.store.salvage import salvage
from plivostatusd.store.transaction import Transaction
from tests.unit.faulty_connection import FaultyConnection
from tests.unit.store_place import Place, opened, uuid

Digests = defaultdict[str, set[bytes]]


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
    """
    A ledger, and what it must know: digests by nonce.

    What one of *mortal* bore may be deleted; it is known as long as the store holds it.
    """

    def __init__(self, path: Path, chance: random.Random) -> None:
        self.path = path
        self.connection = database.connect_writer(path)
        self.chance = chance
        self.known: Digests = defaultdict(set)
        self.mortal: set[str] = set()
        self.ledger: Ledger | None = Ledger()
        self.spared = 0

    def transaction(self) -> None:
        """Do some things, seeing that all is known; commit, roll back, or lie about the commit."""
        self.connection.execute("BEGIN IMMEDIATE")
        # At times it is somebody without a ledger, who writes all the same.
        transaction = Transaction(self.connection, self.ledger if self.happens(0.9) else None)
        self.spared += transaction.known is not None
        if self.happens(0.3):
            self.compare(transaction)
        before = copied(self.known)
        for _ in range(self.chance.randrange(4)):
            self.do(transaction)
        if self.happens(0.9):
            nonces.write(transaction)
            is_lost = self.happens(0.1)
        else:
            is_lost = True
        self.connection.execute("ROLLBACK" if is_lost else "COMMIT")
        if is_lost:
            self.known = before
        elif self.happens(0.9):  # else the error that COMMIT reported was none
            transaction.committed()

    def happens(self, probability: float) -> bool:
        """Draw."""
        return self.chance.random() < probability

    def open_anew(self) -> None:
        """Close, let another process do something to the store, and open it again."""
        self.connection.close()
        with closing(database.connect_writer(self.path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            transaction = Transaction(connection)
            self.remember(transaction)
            nonces.write(transaction)
            connection.execute("COMMIT")
        self.connection = database.connect_writer(self.path)

    def compare(self, transaction: Transaction) -> None:
        """See that the ledger says what the store says, no more and no less."""
        told = Transaction(self.connection)
        for nonce in (*self.known, *self.mortal):
            asked = (nonces.digests(each, [nonce], b"") for each in (transaction, told))
            assert 1 == len({frozenset(each) for each in asked})
        self.look(transaction)

    def do(self, transaction: Transaction) -> None:
        """Remember a request, file or delete, or do so in a savepoint that fails; and look."""
        doing = self.chance.choice(["remember"] * 5 + ["file", "delete", "fail", "fail"])
        if doing == "fail":
            kept, known = transaction.snapshot(), copied(self.known)
            transaction.execute("SAVEPOINT job")
            self.change(transaction, "remember")
            self.change(transaction, self.chance.choice(["file", "delete", "remember"]))
            self.look(transaction)
            transaction.execute("ROLLBACK TO job")
            transaction.put_back(kept)
            self.known = known
        else:
            self.change(transaction, doing)
        self.look(transaction)

    def change(self, transaction: Transaction, doing: str) -> None:
        """Do one thing."""
        if doing == "remember":
            self.remember(transaction)
        elif doing == "file":
            if transaction.ledger is self.ledger:  # who has none does not file beside one
                nonces.file_some(transaction)
        else:
            nonces.delete_dead(transaction, 2, {"key"})

    def remember(self, transaction: Transaction) -> None:
        """Remember a request of one nonce or two, new or used before with another."""
        new = [f"nonce-{self.chance.getrandbits(60)}" for _ in range(self.chance.choice([1, 2]))]
        digest = self.chance.randbytes(16)
        if self.happens(0.2):
            nonces.remember(transaction, new, digest, "dead", 1)
            self.mortal.update(new)
            return
        if self.known and self.happens(0.1):
            new.append(self.chance.choice(list(self.known)))
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


def copied(known: Digests) -> Digests:
    """Copy, all the way down."""
    return defaultdict(set, {nonce: set(digests) for nonce, digests in known.items()})


@pytest.fixture
def life(tmp_path: Path, chance: random.Random) -> Iterator[Life]:
    """Begin one, on a fresh store."""
    life = Life(tmp_path / "status.db", chance)
    yield life
    life.connection.close()


@pytest.mark.parametrize("turn", range(8))
def test_a_used_nonce_is_known(life: Life, turn: int) -> None:
    """Of requests remembered and committed every nonce is known, with its digests; no other is."""
    for _ in range(100):
        if life.happens(0.05):  # a new process
            life.ledger = Ledger() if turn % 4 else None
        if life.happens(0.05):
            life.open_anew()
        life.transaction()
    assert life.spared > 10 or not turn % 4  # else memory was never looked at
    assert len(nonce_runs.all_of(life.connection)) > 1
    asked = (row[0] for table in ("nonces", "nonce_pages") for row in entries_in(life, table))
    stored = sum(len(content) for content in asked) // nonce_runs.ENTRY_BYTES
    known = sum(map(len, life.known.values()))
    assert known <= stored <= known + len(life.mortal)


def entries_in(life: Life, table: str) -> list[tuple[bytes]]:
    """Give the entries that stand in a table."""
    return life.connection.execute(f"SELECT entries FROM {table}").fetchall()  # noqa: S608 - ours


def test_the_sieve_is_made_anew(life: Life) -> None:
    """A sieve that has become full is exchanged, and the new one holds all small runs."""
    sieves = []
    for _ in range(250):
        life.transaction()
        assert life.ledger is not None
        sieves.append(life.ledger.sieve)  # kept, so that no two have one id
    assert len({id(sieve) for sieve in sieves if sieve is not None}) > 1


def unfiled(connection: sqlite3.Connection, numbers: Iterable[int], key: str = "key") -> None:
    """Remember a request a number, each in a transaction of its own, without a ledger."""
    for number in numbers:
        connection.execute("BEGIN IMMEDIATE")
        transaction = Transaction(connection)
        digest = number.to_bytes(16, "big")
        nonces.remember(transaction, [f"nonce-{number}"], digest, key, number)
        nonces.write(transaction)
        connection.execute("COMMIT")


def test_a_batch_is_one_row(tmp_path: Path) -> None:
    """What jobs remember in one transaction is written in one row a token, and then no more."""
    with closing(database.connect_writer(tmp_path / "status.db")) as connection:
        transaction = Transaction(connection)
        for number, key in enumerate(["a", "b", "a"]):
            nonces.remember(transaction, [f"nonce-{number}"], bytes([number]) * 16, key, number)
        nonces.write(transaction)
        nonces.write(transaction)
        rows = connection.execute("SELECT key, length(entries), seen_at FROM nonces").fetchall()
        assert [("a", 32, 2), ("b", 16, 1)] == rows


def test_filing_comes_to_an_end(tmp_path: Path) -> None:
    """Step after step a ledger of any size is filed, into few runs, and then there is no more."""
    with closing(database.connect_writer(tmp_path / "status.db")) as connection:
        remembered, steps = Ledger(), 0
        for first in range(0, 400, 4):
            unfiled(connection, range(first, first + 4))
            steps += file_all(connection, remembered)
        unfiled(connection, range(400, 403))
        assert 1 == file_all(connection, remembered)
        assert steps < 2_000
        assert (3,) == connection.execute("SELECT count(*) FROM nonces").fetchone()
        runs = nonce_runs.all_of(connection)
        assert len(runs) <= 3 + 3 + 3
        assert 400 == sum(run.entries for run in runs)
        assert {None} == {run.into_run for run in runs}


def file_all(connection: sqlite3.Connection, remembered: Ledger | None = None) -> int:
    """File and merge until there is nothing to do; how many steps that took comes back."""
    steps, has_more = 0, True
    while has_more:
        connection.execute("BEGIN IMMEDIATE")
        transaction = Transaction(connection, remembered)
        has_more = nonces.file_some(transaction)
        nonces.write(transaction)
        connection.execute("COMMIT")
        transaction.committed()
        steps += 1
    return steps


def older(path: Path, schema: int) -> list[str]:
    """Make a store of a schema in which nonces stood in an index, verbatim; give them."""
    told = [f"nonce-{number}" for number in range(3_000)]
    with closing(sqlite3.connect(path)) as connection:
        for step in database.migrations()[:schema]:
            connection.executescript(step)
        connection.executemany(
            "INSERT INTO nonces VALUES (?, ?, ?, ?)",
            [(n, n.encode().ljust(16), f"key-{i % 3}", i) for i, n in enumerate(told)],
        )
        connection.execute(f"PRAGMA application_id = {database.APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {schema}")
        connection.commit()
    return told


def all_known(path: Path, told: list[str]) -> bool:
    """Say whether each nonce is known as that of its request, and no other is."""
    with closing(database.connect_writer(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        transaction, remembered = Transaction(connection), Ledger()
        while remembered.coming is not None:
            transaction = Transaction(connection, remembered)
        assert set() == nonces.digests(transaction, ["nonce-3000"], b"")
        digest = [(nonce, nonce.encode().ljust(16)) for nonce in told]
        return all({d} == nonces.digests(transaction, [n], d) for n, d in digest)


@pytest.mark.parametrize("schema", [4, 5])
def test_what_an_older_store_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, schema: int
) -> None:
    """Migrated, a store knows all nonces that it had, with their requests, tokens and ages."""
    monkeypatch.setattr(nonce_runs, "AT_ONCE_MAX", 1_000)
    path = tmp_path / "status.db"
    told = older(path, schema)
    assert all_known(path, told)
    with closing(database.connect_writer(path)) as connection:
        runs = nonce_runs.all_of(connection)
        assert 3 * 3 == len(runs)
        newest = {run.key: run.seen_us for run in runs}
        assert all(seen_us > 2_900 for seen_us in newest.values())
        assert {"key-0", "key-1", "key-2"} == set(newest)
        assert [] == connection.execute("SELECT * FROM nonces").fetchall()


def test_salvaged_from_an_older_store(tmp_path: Path) -> None:
    """What is saved of an older store are its nonces, too, but for what makes no sense."""
    path, target = tmp_path / "old.db", tmp_path / "new.db"
    told = older(path, 5)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO nonces VALUES ('nonsense', x'00', 'key', 1)")
        connection.commit()
    assert 1 == salvage(path, target).holes
    assert all_known(target, told)


def test_dead_entries_are_deleted(tmp_path: Path) -> None:
    """They go once nobody trusts their tokens and the newest is old, filed or not; others stay."""
    with closing(database.connect_writer(tmp_path / "status.db")) as connection:
        for key, first in (("old", 0), ("old new", 100), ("new", 200)):
            unfiled(connection, range(first, first + 40), key)
            file_all(connection)
            unfiled(connection, range(first + 40, first + 42), key)

        def delete(before_us: int, keys: set[str]) -> list[bool]:
            while nonces.delete_dead(Transaction(connection), before_us, keys):
                pass
            transaction = Transaction(connection)
            asked = (5, 41, 105, 141, 205, 241)
            return [bool(nonces.digests(transaction, [f"nonce-{n}"], b"")) for n in asked]

        assert {"old", "old new", "new"} == {run.key for run in nonce_runs.all_of(connection)}
        assert [True] * 6 == delete(30, {"new"})
        assert [False] + [True] * 5 == delete(41, {"new"})
        assert [False] * 2 + [True] * 4 == delete(300, {"new"})
        assert {"old new", "new"} == {run.key for run in nonce_runs.all_of(connection)}
        assert [False] * 6 == delete(300, set())
        for table in ("nonces", "nonce_runs", "nonce_pages"):
            assert [] == connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - ours


async def _filed(place: Place) -> None:
    for number in range(100, 120):
        await place.record(message_uuid=uuid(number), nonces=[f"other-nonce-{number}"])
    while await place.writer.submit(nonces.file_some):
        pass
    mine = nonce_runs.hash_of("mine-v2")
    assert [] == place.rows("SELECT row FROM nonces WHERE instr(entries, ?)", mine)


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


@pytest.mark.expect_log("batch_failed")
@pytest.mark.parametrize("fault", ["with", "without"])
async def test_a_commit_that_fails(tmp_path: Path, fault: str) -> None:
    """After a COMMIT that reported an error a request is a repeat just when it is in the store."""
    async with opened(tmp_path, connect=FaultyConnection) as place:
        await place.record(message_uuid=uuid(1), nonces=["mine-before"])
        told = {"message_uuid": uuid(2), "nonces": ["mine-v2"], "digest": b"s" * 16}
        place.connection.faults = [fault]
        with pytest.raises(StoreUnavailable):
            await place.record(**told)
        again = await place.record(**told)
        assert (fault == "with") == (again.cursor is None)
        assert (
            2 == len(place.rows("SELECT * FROM events")) == len(place.rows("SELECT * FROM nonces"))
        )


async def test_what_is_unfiled_is_known_by_heart(tmp_path: Path) -> None:
    """After the first callback of a process none reads what is in no run; also after a refusal."""
    async with opened(tmp_path) as place:
        await place.record(message_uuid=uuid(1), nonces=["mine-1"])
        asked: list[str] = []
        place.connection.set_trace_callback(asked.append)
        await place.record(message_uuid=uuid(1), nonces=["mine-2"])
        with pytest.raises(ReplayRefused):
            await place.record(message_uuid=uuid(2), nonces=["mine-1"], trust="url-only")
        place.connection.set_trace_callback(None)
        about = [sql for sql in asked if "nonces" in sql and "INTO events" not in sql]
        assert 1 == len(about)
        assert about[0].startswith("INSERT INTO nonces")
