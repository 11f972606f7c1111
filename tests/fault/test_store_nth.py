"""
Every call that the store's write path makes to its file system fails in turn: once, and for good.

TEST_LONG=1 tells a longer story, looks at both of its ends each time, and uses every code in both
ways: a matter of minutes.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from plivostatusd.domain.errors import StoreUnavailable
from plivostatusd.store import submissions
from tests.fault.shim_vfs import Shim
from tests.fault.spool_calls import Calls
from tests.fault.store_house import opened, small
from tests.fault.store_promises import Promise
from tests.fault.store_run import ENDS, Run, copy, look, run
from tests.fault.store_story import LONG, TAKEN, callback, send
from tests.fault.store_ways import DEAD, LASTING, SYNC, WAYS
from tests.fault.vfs_watch import Fault, Watch
from tests.meta.source import FIGURES

pytestmark = [
    pytest.mark.usefixtures("small_house"),
    pytest.mark.takes(20),
    pytest.mark.timeout(900 if LONG else 180),
    pytest.mark.allow_log("batch_failed|store_damaged|callback_refused|callback_unusual"),
    pytest.mark.allow_log("spool_entered|spool_torn|spool_unreadable|spool_drain_failed"),
]

UNBROKEN: Final = 3
"""So many runs in a row that break nothing end it: a drain's timing makes some a little longer."""

BY_HAND: Final = frozenset({("a full disk", False), ("an I/O error", True), ("a short read", True)})
NEVER: Final = frozenset({(DEAD, False)})


@pytest.fixture
def small_house() -> Iterator[None]:
    """Let checkpoints come often, and waits end at once."""
    with small():
        yield


def cases() -> Iterator[tuple[str, bool]]:
    """Give every way with "once" and "for good", less those that are only for a long run."""
    for case in itertools.product(WAYS, (False, True)):
        if case not in NEVER and (LONG or case not in BY_HAND):
            yield case


def broken_at(nth: int, way: str, *, for_good: bool, place: Path) -> Run:
    """Break the *nth* call."""
    fault = Fault(WAYS[way], nth, for_good=for_good)
    ends = ENDS if LONG or way == SYNC else (ENDS[(nth + for_good) % 2],)
    heals = not for_good and way not in LASTING
    told = run(place / "house", fault, heals=heals, ends=ends, spool_dies=way == DEAD)
    return asyncio.run(told)


@pytest.mark.parametrize(
    ("way", "for_good"),
    [*cases()],
    ids=lambda each: each if isinstance(each, str) else "for good" if each else "once",
)
def test_every_call(
    way: str, *, for_good: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Whatever call fails, what was promised is kept, and nothing is doubled or halved."""
    points = unbroken = 0
    for nth in itertools.count(1):
        done = broken_at(nth, way, for_good=for_good, place=tmp_path)
        assert [] == done.faults, f"call {nth}: {done.watch.first}"
        points += done.watch.broken > 0
        unbroken = 0 if done.watch.broken else unbroken + 1
        if unbroken == UNBROKEN:
            break
    how = "for good" if for_good else "once"
    request.config.stash.setdefault(FIGURES, []).append(
        f"store: {points} points broken with {way}, {how}"
    )


def test_careless_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A spool that says that it keeps what it does not keep would be found out here."""
    monkeypatch.setattr("plivostatusd.store.spool.Spool.append", lambda *_: None)
    done = broken_at(200, "a full disk", for_good=True, place=tmp_path)
    assert "recorded" in str(done.faults)


def test_nothing_broken(tmp_path: Path) -> None:
    """The story told without a fault is told whole, and both of its ends are whole."""
    fault = Fault({}, 1)
    done = asyncio.run(run(tmp_path / "house", fault, heals=True, ends=ENDS))
    assert [] == done.faults
    said = Counter(promise.said for promise in done.story.promises)
    assert {"accepted", "not accepted", "called", "recorded", "settled"} == set(said)
    assert len(done.story.received) - 1 == said["recorded"]  # all but a replay
    assert {"shm_map", "truncate", "delete", "lock", "sync"} <= set(done.watch.counts)


@pytest.mark.expect_log("batch_failed")
def test_a_refused_send_is_gone(tmp_path: Path) -> None:
    """A send that was answered 503 is not found by the next process, even after a kill at once."""
    alive, killed = tmp_path / "alive", tmp_path / "killed"
    alive.mkdir()
    watch = Watch()

    async def story() -> None:
        house = await opened(alive)
        await house.ingest.receive(*callback(1, "queued"))  # begins the write-ahead log anew
        watch.fault = Fault(WAYS[SYNC], 1)
        given = send(TAKEN, nth=0)
        with pytest.raises(StoreUnavailable):
            await house.writer.submit(
                partial(submissions.accept, submission=given),
                undo=partial(submissions.withdraw, submission=given),
            )
        copy(alive, killed, watch)
        await house.close()

    with Shim(watch), Calls(alive / "spool").in_place():
        asyncio.run(story())
    gone = [Promise("not accepted", intent.id) for intent in send(TAKEN, nth=0).intents]
    assert [] == asyncio.run(look(killed, gone, []))
