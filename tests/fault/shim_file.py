"""
One file that SQLite has open by way of a `Shim` (tests/fault/shim_vfs.py).

What a call that fails does all the same is what a disk would do: a write gets half-way, a short
read gives zeros, what lets go of something lets go of it. Nothing is synced in earnest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ctypes import memset, string_at
from typing import Any, Final

from tests.fault.vfs_watch import OK, Call, Watch

SHM_UNLOCK: Final = 1
_LETS_GO: Final = frozenset({"close", "unlock", "shm_unmap", "unfetch"})
_CANNOT_FAIL: Final = frozenset({"sector_size", "device_characteristics", "shm_barrier"})


class ShimFile:
    """
    The methods of one file, each named as SQLite names it: xShmMap is `shm_map`.

    *real* are those of the file beneath, whose `sqlite3_file` is at *inner*.
    """

    def __init__(
        self, watch: Watch, path: str | None, inner: int, real: Mapping[str, Callable[..., Any]]
    ) -> None:
        self.path = path
        self._watch = watch
        self._inner = inner
        self._real = real

    def call(self, kind: str, *arguments: Any) -> Any:
        """Make one call."""
        special = getattr(self, f"_{kind}", None)
        if special is not None:
            return special(*arguments)
        if kind in _CANNOT_FAIL:
            self._watch.meet(Call(kind, self.path))
            return self._really(kind, *arguments)
        harm = self._really if kind in _LETS_GO else None
        return self._do(Call(kind, self.path), kind, *arguments, harm=harm)

    def _really(self, kind: str, *arguments: Any) -> Any:
        return self._real[kind](self._inner, *arguments)

    def _do(
        self, call: Call, kind: str, *arguments: Any, harm: Callable[..., object] | None = None
    ) -> int:
        """Make *call*, unless it is to fail: then *harm* is what it does all the same."""
        with self._watch.lock:
            code = self._watch.meet(call)
            if code != OK:
                if harm is not None:
                    harm(kind, *arguments)
                return code
            code = int(self._really(kind, *arguments))
            if code == OK:
                self._watch.done(call)
        return code

    def _read(self, buffer: int, size: int, at: int) -> int:
        def harm(*_: Any) -> None:
            memset(buffer, 0, size)

        return self._do(Call("read", self.path, at), "read", buffer, size, at, harm=harm)

    def _write(self, buffer: int, size: int, at: int) -> int:
        call = Call("write", self.path, at, string_at(buffer, size))

        def harm(*_: Any) -> None:
            if self._really("write", buffer, size // 2, at) == OK:
                self._watch.done(call._replace(content=call.content[: size // 2]))

        return self._do(call, "write", buffer, size, at, harm=harm)

    def _truncate(self, size: int) -> int:
        return self._do(Call("truncate", self.path, size), "truncate", size)

    def _sync(self, flags: int) -> int:
        call = Call("sync", self.path, flags=flags)
        self._watch.hold_up()
        with self._watch.lock:
            code = self._watch.meet(call)
            if code == OK:
                self._watch.done(call)
        return code

    def _shm_lock(self, offset: int, count: int, flags: int) -> int:
        lets_go = bool(flags & SHM_UNLOCK)
        call = Call("shm_unlock" if lets_go else "shm_lock", self.path)
        harm = self._really if lets_go else None
        return self._do(call, "shm_lock", offset, count, flags, harm=harm)
