"""
One process over a store with a fault beneath it, and what the next process finds.

The process ends twice: as a kill would end it, in a copy of its files made between two calls, and
then by stopping, its last calls being broken as well.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from plivostatusd.store import entries, rolls
from plivostatusd.store.entries import Entry
from plivostatusd.store.transaction import Transaction
from tests.fault.shim_vfs import Shim
from tests.fault.spool_calls import Calls
from tests.fault.spool_calls import Fault as SpoolFault
from tests.fault.store_house import House, NotOpened, opened
from tests.fault.store_promises import Promise, broken, not_whole
from tests.fault.store_story import Received, Story
from tests.fault.vfs_watch import Fault, Watch
from tests.unit.store_place import START_US

End = Literal["killed", "stopped"]
ENDS: Final[tuple[End, ...]] = get_args(End)


@dataclass
class Run:
    """What was promised, and what is wrong with what was found."""

    watch: Watch
    story: Story
    faults: list[str]


async def told(place: Path, story: Story, calls: Calls) -> None:
    """Tell *story* as one process in *place*, if that can open what is there, and stop it."""
    with Shim(story.watch), calls.in_place(), suppress(NotOpened):
        house = await opened(place)
        try:
            await story.run(house)
        finally:
            await house.close()
    _end(place)


def _end(place: Path) -> None:
    """Close what a process leaves to its end to close: there are locks that last as long."""
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the descriptor that lists them is gone by now
            if descriptor.readlink().is_relative_to(place):
                os.close(int(descriptor.name))


async def run(
    place: Path, fault: Fault | None, *, heals: bool, ends: Sequence[End], spool_dies: bool = False
) -> Run:
    """
    Tell the story in *place* with *fault* beneath it, and look at what each of *ends* leaves.

    When *spool_dies*, every call of the spool's fails as well, from the first that is broken on.
    """
    alive, killed, stopped = (place / name for name in ("alive", "killed", "stopped"))
    alive.mkdir(parents=True)
    watch = Watch(fault)
    story = Story(watch, heals=heals)
    relied_on: list[Promise] = []

    def kill() -> None:
        relied_on.extend(story.promises)
        copy(alive, killed, watch)

    def break_spool() -> None:
        if spool_dies:
            calls.fault = SpoolFault(calls.count + 1, errno.EIO, "all from then on")

    story.kill = kill
    watch.broke = break_spool
    calls = Calls(alive / "spool")
    await told(alive, story, calls)
    copy(alive, stopped, watch)
    faults = [*story.wrong]
    for left, promises in ((killed, relied_on), (stopped, story.promises)):
        if left.exists() and (left.name in ends or not killed.exists()):
            found = await look(left, promises, story.received)
            faults += [f"{left.name}: {each}" for each in found]
    shutil.rmtree(place)
    return Run(watch, story, faults)


def copy(alive: Path, killed: Path, watch: Watch) -> None:
    """Copy what a process that ended now would leave: the store as it is between two calls."""
    killed.mkdir()
    # The spool first: what is drained meanwhile, its file deleted, is in the store by then.
    if (alive / "spool").exists():
        _copy_files(alive / "spool", killed / "spool")
    with watch.lock:
        _copy_files(alive, killed)
    (killed / "status.db-shm").unlink(missing_ok=True)  # the first connection makes it anew


def _copy_files(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    for path in source.iterdir():
        with suppress(FileNotFoundError, IsADirectoryError):
            shutil.copyfile(path, target / path.name)


async def look(left: Path, promises: Sequence[Promise], received: Iterable[Received]) -> list[str]:
    """Open what is *left* as a new process does, and give what is wrong about it."""
    store = left / "status.db"
    with Shim(Watch()), Calls(left / "spool").in_place():
        house = await opened(left)
        try:
            await house.drained()
            claimed = await house.writer.submit(_claim_all)
            faults = list(broken(store, promises))
            called = {each.about for each in promises if each.said == "called"}
            faults += [f"called again: {each}" for each in claimed if each in called]
            faults += await _call_again(house, received)
        finally:
            await house.close()
        faults += not_whole(store)
    return faults


def _claim_all(transaction: Transaction) -> list[str]:
    """Do what a start does with the outbox, and claim what is left."""
    for name in rolls.unfinished(transaction):
        rolls.finish(transaction, name)
    entries.recover(transaction, START_US, START_US)
    claimed = []
    while isinstance(entry := entries.claim(transaction, START_US + 60, START_US + 60), Entry):
        claimed.append(entry.id)
    return claimed


async def _call_again(house: House, received: Iterable[Received]) -> list[str]:
    """Send every callback once more: Plivo does so with what it was not told is kept."""
    told = [house.ingest.receive(*each) for each in received]
    answers = await asyncio.gather(*told, return_exceptions=True)
    return [
        f"not taken: {answer!r}"
        for answer in answers
        if isinstance(answer, BaseException) and getattr(answer, "http_status", 0) != 403
    ]
