"""What the fault tests hold a store against would notice each thing that it is to notice."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.fault.spool_calls import Calls
from tests.fault.store_house import small
from tests.fault.store_promises import Promise, broken, not_whole
from tests.fault.store_run import told
from tests.fault.store_story import Story
from tests.fault.vfs_watch import Watch

VANDALS = {
    "an event is doubled": (
        "INSERT INTO events (status, received_at, source, trust, digest)"
        " SELECT status, received_at, source, trust, digest FROM events WHERE digest NOTNULL"
    ),
    "a nonce without its event": ("INSERT INTO nonces VALUES (99, zeroblob(16), 'k', 0)"),
    "an event without its nonce": "DELETE FROM nonce_pages",
    "an intent without its event": "DELETE FROM events WHERE status = 'pending'",
    "neither waiting nor settled": (
        "UPDATE messages SET current_status = 'pending' WHERE ref NOTNULL"
    ),
    "a key without its messages": "UPDATE messages SET id = hex(randomblob(16)) WHERE ref NOTNULL",
    "a day that counts other sends": "UPDATE sends_by_day SET n = n + 1",
    "what is derived": "UPDATE tallies SET n = n + 1",
}
LIES: dict[str, bytes | str] = {
    "recorded": b"unheard of",
    "accepted": "no id",
    "called": "the waiting one",
    "settled": "the waiting one",
    "not accepted": "the waiting one",
}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Make a store in which everything has happened."""
    with small():
        asyncio.run(told(tmp_path, Story(Watch()), Calls(tmp_path / "spool")))
    return tmp_path / "status.db"


@pytest.mark.allow_log("spool_entered|batch_failed|callback_refused")
@pytest.mark.parametrize("what", VANDALS)
def test_not_whole(what: str, store: Path) -> None:
    """A store that is whole has no fault, and each thing that can be wrong with it is found."""
    assert [] == list(not_whole(store))
    with closing(sqlite3.connect(store, isolation_level=None)) as connection:
        connection.execute(VANDALS[what])
    assert what in str(list(not_whole(store)))


@pytest.mark.allow_log("spool_entered|batch_failed|callback_refused")
@pytest.mark.parametrize("said", LIES)
def test_broken(said: str, store: Path) -> None:
    """A promise that is not so is found."""
    with closing(sqlite3.connect(store, isolation_level=None)) as connection:
        connection.execute("UPDATE messages SET id = 'the waiting one' WHERE row = 1")
        connection.execute(
            "INSERT INTO outbox (message, state, accepted_at, due_at) VALUES (1, 'pending', 0, 0)"
        )
    assert 1 == len(list(broken(store, [Promise(said, LIES[said])])))
