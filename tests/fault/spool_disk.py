"""
A disk that forgets: what a power cut may leave of the calls on a tape (tests/fault/spool_calls.py).

What is simulated. Content is safe once its file was synced; until then each 512-byte sector of each
write, and each change of length, may have reached the disk or not. A name (made, changed, deleted)
is safe once the folder was synced, and the folder's own once its parent was; until then the changes
may have reached it up to any point, or any of them without the others. A rename is one change, and
a sector holds either what it held or what was written.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.fault.spool_calls import FOLDER, PARENT, Op

SECTOR_BYTES: Final = 512

Chooses = Callable[[], bool]
Files = dict[str, bytes]


class Disk:
    """What is safe, and what is not yet, after the calls that it was told of."""

    def __init__(self, ops: Sequence[Op] = ()) -> None:
        self.folder_is_safe = False
        self.folder_is_there = False
        self._names: dict[str, int] = {}
        self._names_pending: list[Op] = []
        self._contents: dict[int, bytes] = defaultdict(bytes)
        self._contents_pending: dict[int, list[Op]] = defaultdict(list)
        for op in ops:
            self.follow(op)

    def follow(self, op: Op) -> None:
        """Do what a call did."""
        if op.kind in {"create", "rename", "unlink"}:
            self._names_pending.append(op)
        elif op.kind in {"write", "size"}:
            self._contents_pending[op.node].append(op)
        elif op.kind == "mkdir":
            self.folder_is_there = True
        elif op.kind == "sync":
            self._sync(op.node)

    def _sync(self, node: int) -> None:
        if node == PARENT:
            self.folder_is_safe = self.folder_is_there
        elif node == FOLDER:
            self._names = self._named(len(self._names_pending))
            self._names_pending.clear()
        else:
            self._contents[node] = self._content(node, always)
            self._contents_pending.pop(node, None)

    def files(self) -> Files:
        """Return what a reader sees while there is power: everything."""
        names = self._named(len(self._names_pending))
        return {name: self._content(node, always) for name, node in names.items()}

    def left(self, names: Chooses, contents: Chooses) -> Files:
        """Return what a power cut leaves of names and contents when these choose what was safe."""
        return self._left(self._named(len(self._names_pending), names), contents)

    def after_power_cuts(self, chance: random.Random) -> Iterator[Files | None]:
        """Give what may be left: the extremes, and some of what lies between. None: no folder."""
        if not self.folder_is_safe:
            yield None
        if not self.folder_is_there:
            return
        count = len(self._names_pending)

        def some() -> bool:
            return chance.random() < 0.5

        for reached in range(count + 1):
            for chooses in (never, always, some):
                yield self._left(self._named(reached), chooses)
        for _ in range(2):
            yield self._left(self._named(count, some), some)

    def _left(self, names: dict[str, int], chooses: Chooses) -> Files:
        return {name: self._content(node, chooses) for name, node in names.items()}

    def _named(self, reached: int, chooses: Chooses | None = None) -> dict[str, int]:
        names = dict(self._names)
        for op in self._names_pending[:reached]:
            if chooses is None or chooses():
                _rename(names, op)
        return names

    def _content(self, node: int, chooses: Chooses) -> bytes:
        content = bytearray(self._contents[node])
        for op in self._contents_pending[node]:
            if op.kind == "size":
                if chooses():
                    _resize(content, op.at)
            else:
                _write(content, op, chooses)
        return bytes(content)


def always() -> bool:
    """Let everything reach the disk."""
    return True


def never() -> bool:
    """Let nothing reach the disk that was not synced."""
    return False


def lay_out(files: Files | None, folder: Path) -> None:
    """Make *folder* hold exactly *files*."""
    if files is None:
        return
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _rename(names: dict[str, int], op: Op) -> None:
    if op.kind == "create":
        names[op.name] = op.node
    elif op.kind == "unlink":
        names.pop(op.name, None)
    else:
        old, _, new = op.name.partition("/")
        if names.get(old) == op.node:
            names[new] = names.pop(old)


def _resize(content: bytearray, size: int) -> None:
    del content[size:]
    content.extend(bytes(size - len(content)))


def _write(content: bytearray, op: Op, chooses: Chooses) -> None:
    """Write those sectors that are chosen; a file grows with any of them, and holds zeros there."""
    end = op.at + len(op.content)
    at = op.at
    while at < end:
        until = min(end, (at // SECTOR_BYTES + 1) * SECTOR_BYTES)
        if chooses():
            _resize(content, max(len(content), until))
            content[at:until] = op.content[at - op.at : until - op.at]
        at = until
