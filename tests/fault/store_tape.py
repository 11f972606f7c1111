"""
One tape of all that store and spool do to the disk, in true order, and of what was told meanwhile.

What is simulated of SQLite's files is what tests/fault/spool_disk.py says of the spool's: content
is safe once its file was synced, until then any of its 512-byte sectors may have reached the disk;
a name is safe once its folder was synced. Whose folder SQLite syncs is taken from its unix file
system: a journal's or write-ahead log's when that is synced first after it was opened, and a
deleted file's when that was asked for. The folder of the store is the parent of the spool's, so
either's sync makes the names of both safe. The wal-index (-shm) is no file here: SQLite makes it
anew when the first connection comes.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from tests.fault.spool_calls import FOLDER, PARENT, Op
from tests.fault.spool_disk import Chooses, Disk, Files, always, never
from tests.fault.store_promises import Promise
from tests.fault.vfs_watch import Call

LOGS: Final = 0x00000800 | 0x00004000 | 0x00080000
"""SQLITE_OPEN_MAIN_JOURNAL, _SUPER_JOURNAL and _WAL: what is made with its folder to be synced."""


class Left(NamedTuple):
    """The files of the store's folder, and the spool's; None when that has no folder."""

    store: Files
    spool: Files | None

    def key(self) -> Hashable:
        """Give what two of the same content have in common."""
        return tuple(None if each is None else tuple(sorted(each.items())) for each in self)


class Entry(NamedTuple):
    """What was done to the store's or the spool's folder, or what was promised."""

    where: str
    op: Op | None = None
    promise: Promise | None = None


@dataclass
class Tape:
    """Written as it happens."""

    entries: list[Entry] = field(default_factory=list)
    _nodes: dict[str, int] = field(default_factory=dict)
    _new_logs: set[str] = field(default_factory=set)
    _node_last: int = 0

    def promised(self, promise: Promise) -> None:
        """Note that from here on somebody relies on it."""
        self.entries.append(Entry("told", promise=promise))

    def called(self, call: Call) -> None:
        """Note what SQLite did."""
        note = getattr(self, f"_note_{call.kind}", None)
        if note is not None and call.path is not None:
            note(call, Path(call.path).name)

    def of_the_spool(self) -> list[Op]:
        """Give what the spool's calls are to be written on."""
        return _Track(self.entries)

    def _add(self, kind: str, node: int, name: str = "", at: int = 0, content: bytes = b"") -> None:
        self.entries.append(Entry("store", Op(kind, node, name, at, content)))

    def _note_open(self, call: Call, name: str) -> None:
        if name not in self._nodes:
            self._node_last += 1
            self._nodes[name] = self._node_last
            self._add("create", self._node_last, name)
        if call.flags & LOGS:
            self._new_logs.add(name)

    def _note_write(self, call: Call, name: str) -> None:
        self._add("write", self._nodes[name], at=call.at, content=call.content)

    def _note_truncate(self, call: Call, name: str) -> None:
        self._add("size", self._nodes[name], at=call.at)

    def _note_sync(self, _: Call, name: str) -> None:
        self._add("sync", self._nodes[name])
        if name in self._new_logs:
            self._new_logs.discard(name)
            self._add("sync", FOLDER)

    def _note_delete(self, call: Call, name: str) -> None:
        self._add("unlink", self._nodes.pop(name), name)
        if call.flags:
            self._add("sync", FOLDER)


class _Track(list[Op]):
    """A list for the spool's calls to append to, whose items go onto the one tape."""

    def __init__(self, entries: list[Entry]) -> None:
        super().__init__()
        self._entries = entries

    def append(self, op: Op) -> None:
        """Write it down where everything stands."""
        self._entries.append(Entry("spool", op))


class Disks:
    """What is safe of both folders after the entries that were followed."""

    def __init__(self) -> None:
        self._store = Disk()
        self._spool = Disk()

    def follow(self, entry: Entry) -> None:
        """Do what the next entry says."""
        if entry.op is None:
            return
        is_of_the_store = entry.where == "store"
        (self._store if is_of_the_store else self._spool).follow(entry.op)
        if is_of_the_store and entry.op[:2] == ("sync", FOLDER):
            self._spool.follow(Op("sync", PARENT))
        elif not is_of_the_store and entry.op[:2] == ("sync", PARENT):
            self._store.follow(Op("sync", FOLDER))

    def whole(self) -> Left:
        """Return what there is while there is power."""
        return self._left(always, always)

    def after_power_cuts(self, chance: random.Random, count: int) -> Iterator[Left]:
        """
        Give what may be left: nothing and everything that was not synced, *count* times a part.

        Nothing of the store with everything of the spool is among them, and the other way about.
        """

        def some() -> bool:
            return chance.random() < 0.5

        for store in (never, always):
            for spool in (never, always):
                yield self._left(store, spool)
        for _ in range(count):
            yield self._left(some, some)

    def _left(self, store: Chooses, spool: Chooses) -> Left:
        is_there = self._spool.folder_is_safe or (self._spool.folder_is_there and spool())
        return Left(
            self._store.left(store, store), self._spool.left(spool, spool) if is_there else None
        )
