"""
`os` as the spool's modules see it in these tests: each call that reaches a disk is counted, can be
made to fail, is written down on a tape, and is held against what the spool promises about calls.

Nothing is synced in earnest; what a power cut would leave is worked out from the tape
(tests/fault/spool_disk.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, get_args

import pytest

MODULES: Final = ("plivostatusd.store.spool.os", "plivostatusd.store.spool_file.os")

CALLS: Final = frozenset(
    {
        *("mkdir", "scandir", "stat", "rename", "unlink", "truncate"),
        *("open", "fstat", "read", "pread", "pwrite", "ftruncate", "posix_fallocate"),
        *("fsync", "fdatasync", "close"),
    }
)
FOLDER: Final = -1
PARENT: Final = -2


class Op(NamedTuple):
    """What a call did to the disk. A node is a file whatever its name, or the folder."""

    kind: str
    node: int
    name: str = ""
    at: int = 0
    content: bytes = b""
    payloads: tuple[bytes, ...] = ()


How = Literal["once", "the next of its kind too", "all from then on"]
HOWS: Final[tuple[How, ...]] = get_args(How)


class Killed(BaseException):
    """The process ends here: no handler runs but those that run for everything."""


@dataclass(frozen=True)
class Fault:
    """The *nth* call fails with *code*; then, as *how* says, others."""

    nth: int
    code: int
    how: How = "once"


@dataclass
class Calls:
    """Stands in for the module `os`; what is not a call to the disk it passes on."""

    folder: Path
    fault: Fault | None = None
    tape: list[Op] = field(default_factory=list)
    count: int = 0
    broken: int = 0
    kill_in_write: bool = False
    _nodes: dict[int, int] = field(default_factory=dict)  # descriptor -> node
    _names: dict[str, int] = field(default_factory=dict)  # name -> node
    _failed: set[int] = field(default_factory=set)  # nodes on which a write or a sync failed
    _loose: dict[int, list[tuple[int, int]]] = field(default_factory=dict)  # written, not synced
    _node_last: int = 0
    _fails_again: str = ""

    def __getattr__(self, name: str) -> Any:
        """Give the call *name*, watched."""
        real = getattr(os, name)
        return partial(self._call, name, real) if name in CALLS else real

    @contextmanager
    def in_place(self) -> Iterator[Calls]:
        """Stand in for `os`; afterwards every descriptor still open is closed, as at exit."""
        with pytest.MonkeyPatch.context() as patch:
            for module in MODULES:
                patch.setattr(module, self)
            try:
                yield self
            finally:
                self.exit()

    def exit(self) -> None:
        """Close what is open, as the end of a process does: nothing is written or cut."""
        for descriptor in self._nodes:
            os.close(descriptor)
        self._nodes.clear()

    @property
    def open_descriptors(self) -> int:
        """How many descriptors have not been closed."""
        return len(self._nodes)

    def told(self, payloads: Sequence[bytes]) -> None:
        """Note that from here on somebody relies on *payloads* being kept."""
        self.tape.append(Op("told", 0, payloads=tuple(payloads)))

    def stored(self, payloads: Sequence[bytes]) -> None:
        """Note that from here on *payloads* are safe elsewhere."""
        self.tape.append(Op("stored", 0, payloads=tuple(payloads)))

    def gone(self, payloads: Sequence[bytes]) -> None:
        """Note that from here on *payloads* should not be given again."""
        self.tape.append(Op("gone", 0, payloads=tuple(payloads)))

    def _call(self, name: str, real: Callable[..., Any], *args: Any, **options: Any) -> Any:
        self.count += 1
        watch = getattr(self, f"_watch_{name}", None)
        if watch is not None:
            watch(*args, **options)
        if self.fault is not None and self._is_hit(name, self.fault):
            self.broken += 1
            harm = getattr(self, f"_harm_{name}", None)
            if harm is not None:
                harm(*args)
            raise OSError(self.fault.code, os.strerror(self.fault.code))
        if name == "pwrite" and self.kill_in_write:
            self._harm_pwrite(*args)
            raise Killed
        result = None if name in {"fsync", "fdatasync"} else real(*args, **options)
        note = getattr(self, f"_note_{name}", None)
        if note is not None:
            note(result, *args, **options)
        return result

    def _is_hit(self, name: str, fault: Fault) -> bool:
        if self.count == fault.nth:
            self._fails_again = name if fault.how == "the next of its kind too" else ""
            return True
        if name == self._fails_again:
            self._fails_again = ""
            return True
        return fault.how == "all from then on" and self.count > fault.nth

    # What must never be done

    def _watch_pwrite(self, descriptor: int, *_rest: Any) -> None:
        node = self._nodes[descriptor]
        _insist(node not in self._failed, "a file is written again after something failed on it")
        name = next((name for name, each in self._names.items() if each == node), "")
        _insist(name.endswith(".spool"), f"records are written into {name or 'a deleted file'}")

    def _watch_open(self, path: str | Path, flags: int, *_rest: Any, **_options: Any) -> None:
        writes = flags & os.O_ACCMODE != os.O_RDONLY
        if writes and str(path) not in {"reserve", "probe"}:
            is_new = bool(flags & os.O_EXCL)
            _insist(is_new, f"{path} is of an earlier time and is opened for writing")

    def _watch_unlink(self, name: str, **_options: Any) -> None:
        _insist(not name.endswith(".torn"), "what was put aside is deleted")

    def _watch_rename(self, old: str, new: str, **_options: Any) -> None:
        _insist(new not in self._names, f"{old} takes the place of {new}")

    # What a failing call does all the same

    def _harm_close(self, descriptor: int) -> None:
        os.close(descriptor)
        self._nodes.pop(descriptor)

    def _harm_pwrite(self, descriptor: int, content: bytes, at: int) -> None:
        half = bytes(content[: len(content) // 2])
        os.pwrite(descriptor, half, at)
        self._note_pwrite(len(half), descriptor, half, at)
        self._failed.add(self._nodes[descriptor])

    def _harm_fdatasync(self, descriptor: int) -> None:
        """Drop what was written: the pages are clean now, and a second sync would succeed."""
        node = self._nodes[descriptor]
        for at, length in self._loose.pop(node, []):
            os.pwrite(descriptor, bytes(length), at)
            self.tape.append(Op("write", node, at=at, content=bytes(length)))
        self._failed.add(node)

    # What a call that succeeded did

    def _note_mkdir(self, *_rest: Any) -> None:
        self.tape.append(Op("mkdir", PARENT))

    def _note_open(self, descriptor: int, path: str | Path, *_rest: Any, **_options: Any) -> None:
        places = {self.folder: FOLDER, self.folder.parent: PARENT}
        name = Path(path).name
        if Path(path) in places:
            self._nodes[descriptor] = places[Path(path)]
            return
        if name not in self._names:
            self._node_last += 1
            self._names[name] = self._node_last
            self.tape.append(Op("create", self._node_last, name))
        self._nodes[descriptor] = self._names[name]

    def _note_close(self, _: None, descriptor: int) -> None:
        self._nodes.pop(descriptor)

    def _note_pwrite(self, written: int, descriptor: int, content: bytes, at: int) -> None:
        node = self._nodes[descriptor]
        self.tape.append(Op("write", node, at=at, content=bytes(content[:written])))
        self._loose.setdefault(node, []).append((at, written))

    def _note_posix_fallocate(self, _: None, descriptor: int, *_rest: int) -> None:
        size = os.fstat(descriptor).st_size
        self.tape.append(Op("size", self._nodes[descriptor], at=size))

    def _note_ftruncate(self, _: None, descriptor: int, length: int) -> None:
        self.tape.append(Op("size", self._nodes[descriptor], at=length))

    def _note_truncate(self, _: None, path: Path, length: int) -> None:
        self.tape.append(Op("size", self._names[path.name], at=length))

    def _note_fsync(self, _: None, descriptor: int) -> None:
        node = self._nodes[descriptor]
        self._loose.pop(node, None)
        self.tape.append(Op("sync", node))

    _note_fdatasync = _note_fsync

    def _note_rename(self, _: None, old: str, new: str, **_options: Any) -> None:
        node = self._names.pop(old)
        self._names[new] = node
        self.tape.append(Op("rename", node, name=f"{old}/{new}"))

    def _note_unlink(self, _: None, name: str, **_options: Any) -> None:
        self.tape.append(Op("unlink", self._names.pop(name), name))


def _insist(is_kept: bool, broken: str) -> None:
    """Fail the test in a way that no handler within the spool takes for an error of the disk."""
    if not is_kept:
        pytest.fail(broken)
