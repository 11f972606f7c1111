"""
A file system beneath SQLite that passes every call on to the one SQLite would use, and asks a
`Watch` first whether it is to fail.

While a `Shim` is entered it is SQLite's default, so that unchanged code goes through it; what is
opened meanwhile is to be closed before it is left. To sleep takes no time: SQLite counts what it
asked for. An exception in here cannot pass through SQLite:
it is kept, SQLite is told of an I/O error, and it is raised where the block ends.
"""

from __future__ import annotations

import ctypes
import re
import sqlite3
from collections.abc import Callable
from ctypes import POINTER, addressof, byref, c_void_p, cast, pointer, sizeof, string_at
from functools import partial
from typing import Any, Final

from tests.fault.shim_file import ShimFile
from tests.fault.sqlite_abi import (
    METHODS_SINCE,
    VERSION_KNOWN,
    VFS_BYTES,
    File,
    IoMethods,
    Vfs,
    library,
)
from tests.fault.vfs_watch import OK, Call, Watch

NAME: Final = b"shim"
HEAD_BYTES: Final = 16
"""Our own `sqlite3_file`, padded; the real one is behind it in the memory that SQLite gives us."""

KINDS: Final = {
    name: re.sub("(?<!^)([A-Z])", r"_\1", name[1:]).lower()
    for name in (*METHODS_SINCE, "xDelete", "xAccess", "xFullPathname")
}
"""xShmMap is the kind `shm_map`, and so on."""

_VFS_TYPES: Final = dict(Vfs._fields_)
_FILE_TYPES: Final = dict(IoMethods._fields_)
Table = tuple[IoMethods, dict[str, Any]]


class Shim:
    """Enter it to put *watch* beneath every connection that is opened meanwhile."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._errors: list[BaseException] = []
        self._files: dict[int, ShimFile] = {}
        self._tables: dict[int, Table] = {}
        self._library = library()
        self._real: Vfs = self._library.sqlite3_vfs_find(None).contents
        self._vfs = self._made()

    @property
    def open_files(self) -> list[str | None]:
        """The files that SQLite has open by way of the shim."""
        return [file.path for file in self._files.values()]

    def __enter__(self) -> Watch:
        if self._library.sqlite3_vfs_register(byref(self._vfs), 1) != OK:
            raise RuntimeError("SQLite does not take the shim")
        return self.watch

    def __exit__(self, *_: object) -> None:
        self._library.sqlite3_vfs_unregister(byref(self._vfs))
        if self._files:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))  # SQLite may still call us
            self._errors.append(RuntimeError(f"left open: {self.open_files}"))
        if self._errors:
            raise self._errors[0]

    # The structs that SQLite is given

    def _made(self) -> Vfs:
        """Copy the real one, as much of it as there is, and put methods of ours in."""
        vfs = Vfs()
        version = min(self._real.iVersion, VERSION_KNOWN)
        ctypes.memmove(byref(vfs), byref(self._real), VFS_BYTES.get(version, sizeof(Vfs)))
        vfs.iVersion = version
        vfs.szOsFile = HEAD_BYTES + self._real.szOsFile
        vfs.zName = NAME
        vfs.pNext = None
        vfs.xOpen = _VFS_TYPES["xOpen"](self._guarded(self._open))
        vfs.xSleep = _VFS_TYPES["xSleep"](lambda _, microseconds: microseconds)
        for name in ("xDelete", "xAccess", "xFullPathname"):
            method = partial(self._of_a_name, name, getattr(self._real, name))
            setattr(vfs, name, _VFS_TYPES[name](self._guarded(method)))
        return vfs

    def _table(self, real_at: int) -> Table:
        """Make our methods for files whose real ones are at *real_at*: the same, and no others."""
        if real_at not in self._tables:
            methods = cast(real_at, POINTER(IoMethods)).contents
            ours = IoMethods(min(methods.iVersion, VERSION_KNOWN))
            real = {}
            for name, since in METHODS_SINCE.items():
                if since <= ours.iVersion and getattr(methods, name):
                    real[KINDS[name]] = getattr(methods, name)
                    method = partial(self._of_a_file, KINDS[name])
                    setattr(ours, name, _FILE_TYPES[name](self._guarded(method)))
            self._tables[real_at] = ours, real
        return self._tables[real_at]

    def _guarded(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Any) -> Any:
            try:
                return method(*arguments)
            except BaseException as error:  # noqa: BLE001 - raised where the block ends
                self._errors.append(error)
                return sqlite3.SQLITE_IOERR

        return guarded

    # What SQLite calls

    def _open(self, _vfs: int, name: int | None, at: int, flags: int, told: int | None) -> int:
        path = _text(name)
        call = Call("open", path, flags=flags)
        file = File.from_address(at)
        file.pMethods = None  # or SQLite would close what was never opened
        with self.watch.lock:
            code = self.watch.meet(call)
            if code != OK:
                return code
            inner = at + HEAD_BYTES
            code = int(self._real.xOpen(addressof(self._real), name, inner, flags, told))
            real_at = c_void_p.from_address(inner).value
            if real_at is not None:
                ours, real = self._table(real_at)
                self._files[at] = ShimFile(self.watch, path, inner, real)
                file.pMethods = pointer(ours)
            if code == OK:
                self.watch.done(call)
        return code

    def _of_a_name(
        self, method: str, real: Callable[..., int], _vfs: int, name: int, *rest: Any
    ) -> int:
        """Make a call that is about a name: rest is its flags, and where the answer goes."""
        call = Call(KINDS[method], _text(name), flags=rest[0])
        with self.watch.lock:
            code = self.watch.meet(call) or int(real(addressof(self._real), name, *rest))
            if code == OK:
                self.watch.done(call)
        return code

    def _of_a_file(self, kind: str, at: int, *arguments: Any) -> Any:
        """Make a call that is about an open file."""
        file = self._files.pop(at) if kind == "close" else self._files[at]
        return file.call(kind, *arguments)


def _text(name: int | None) -> str | None:
    return None if name is None else string_at(name).decode()
