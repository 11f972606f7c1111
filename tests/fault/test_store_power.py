"""
The power fails between any two calls of the store and its spool (tests/fault/store_tape.py says
what is simulated).

TEST_LONG=1 tells a longer story and leaves more of what was not synced to chance: minutes.
"""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Container, Hashable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.fault.spool_calls import Calls
from tests.fault.spool_disk import lay_out
from tests.fault.store_house import NotOpened, small
from tests.fault.store_promises import Promise
from tests.fault.store_run import look, told
from tests.fault.store_story import LONG, Received, Story
from tests.fault.store_tape import Disks, Entry, Left, Tape
from tests.fault.store_ways import SYNC, WAYS
from tests.fault.vfs_watch import Fault, Watch
from tests.meta.source import FIGURES

pytestmark = [
    pytest.mark.usefixtures("small_house"),
    pytest.mark.takes(18),
    pytest.mark.timeout(900 if LONG else 180),
    pytest.mark.allow_log("batch_failed|callback_refused|callback_unusual"),
    pytest.mark.allow_log("spool_entered|spool_torn"),
]

PARTS: Final = 8 if LONG else 1
"""How often chance says what a cut leaves of what was not synced."""


@pytest.fixture
def small_house() -> Iterator[None]:
    """Let checkpoints come often, and waits end at once."""
    with small():
        yield


class Told(NamedTuple):
    """The tape of a story, what Plivo sent in it, and the files when its process had stopped."""

    entries: Sequence[Entry]
    received: Sequence[Received]
    files: Left


class Cut(NamedTuple):
    """A state in which a cut may leave the files, and what had been promised before it."""

    left: Left
    promises: Sequence[Promise]
    entry: Entry


def recorded(place: Path, fault: Fault | None = None) -> Told:
    """Tell the story in *place* with the tape on."""
    place.mkdir()
    tape = Tape()
    story = Story(Watch(fault, done=tape.called), heals=fault is None, tell=tape.promised)
    asyncio.run(told(place, story, Calls(place / "spool", tape=tape.of_the_spool())))
    assert [] == story.wrong
    files = Left(contents(place), contents(place / "spool"))
    return Told(tape.entries, story.received, files)


def contents(folder: Path) -> dict[str, bytes]:
    """Read every file of *folder*, if there is one."""
    if not folder.exists():
        return {}
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def cuts(
    entries: Sequence[Entry], chance: random.Random, at: Container[int] | None = None
) -> Iterator[Cut]:
    """
    Cut behind each entry, or those *at* which it is asked for, and give what may be left.

    A state that differs neither in the files nor in what was promised comes once.
    """
    disks = Disks()
    promises: list[Promise] = []
    seen: set[Hashable] = set()
    for number, entry in enumerate(entries):
        disks.follow(entry)
        if entry.promise is not None:
            promises.append(entry.promise)
            seen.clear()
        if at is not None and number not in at:
            continue
        for left in disks.after_power_cuts(chance, PARTS):
            if (key := left.key()) not in seen:
                seen.add(key)
                yield Cut(left, promises, entry)


def faults(cut: Cut, story: Told, place: Path) -> list[str]:
    """Start a process on what a cut has left, and give what is wrong about it."""
    lay_out(cut.left.store, place)
    lay_out(cut.left.spool, place / "spool")
    try:
        return asyncio.run(look(place, cut.promises, story.received))
    except NotOpened as error:
        return [f"does not open: {error}"]
    finally:
        shutil.rmtree(place)


def test_tape_is_whole(tmp_path: Path) -> None:
    """The tape misses nothing: played to its end it gives both folders, byte by byte."""
    story = recorded(tmp_path / "house")
    disks = Disks()
    for entry in story.entries:
        disks.follow(entry)
    assert story.files == disks.whole()


def test_every_cut(tmp_path: Path, chance: random.Random, request: pytest.FixtureRequest) -> None:
    """Wherever the power fails, what was promised is kept, and nothing is doubled or halved."""
    story = recorded(tmp_path / "house")
    count = 0
    for cut in cuts(story.entries, chance):
        count += 1
        assert [] == faults(cut, story, tmp_path / "left"), f"after {cut.entry}"
    request.config.stash.setdefault(FIGURES, []).append(
        f"store and spool: power cut at {len(story.entries)} points, {count} ways to be left"
    )


@pytest.mark.parametrize(
    ("where", "nodes"),
    [("store", "files"), ("spool", "files"), ("both", "folders")],
    ids=["store's files", "spool's files", "folders"],
)
def test_disk_forgets(where: str, nodes: str, tmp_path: Path, chance: random.Random) -> None:
    """A store or a spool that did not sync its files or their names would be found out here."""
    story = recorded(tmp_path / "house")
    careless = [
        entry
        for entry in story.entries
        if entry.op is None
        or entry.op.kind != "sync"
        or (nodes == "files") != (entry.op.node > 0)
        or where not in {entry.where, "both"}
    ]
    assert len(careless) < len(story.entries)
    late = range(len(careless) * 2 // 3, len(careless))  # when the spool is used
    assert any(faults(cut, story, tmp_path / "left") for cut in cuts(careless, chance, late))


def test_cut_after_a_fault(tmp_path: Path, chance: random.Random) -> None:
    """
    A call fails, and later the power: still what was promised is kept.

    Not where every sync has failed from some moment on: nothing is safe on such a disk, and SQLite
    gives up the journal of a store that it could not even begin.
    """
    points = {"an I/O error": 500, "a full disk": 250, "a lock": 60, SYNC: 25}
    for _ in range(200 if LONG else 20):
        way = chance.choice([*points])
        nth = chance.randint(1, points[way])
        fault = Fault(WAYS[way], nth, for_good=way != SYNC and chance.random() < 0.5)
        story = recorded(tmp_path / "house", fault)
        shutil.rmtree(tmp_path / "house")
        at = {chance.randrange(len(story.entries) or 1)}
        for cut in cuts(story.entries, chance, at):
            found = faults(cut, story, tmp_path / "left")
            assert [] == found, f"{fault} broken, cut after {cut.entry}"
