"""
The C interface of the very SQLite that Python's `sqlite3` module uses: the library and the structs
by which a program puts a file system of its own beneath it.

Source: sqlite3.h of SQLite 3.40 and 3.46, which agree in all that stands here. A struct may be
longer than what is declared: whoever reads one looks at its iVersion first.
"""

from __future__ import annotations

import ctypes
import sqlite3
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

VERSION_KNOWN: Final = 3
"""The newest iVersion of both structs whose methods are declared here."""

STATIC: Final = (
    "No libsqlite3 is mapped: this interpreter's sqlite3 module is linked statically, and nothing"
    " can be put beneath it. Run the tests with a Python that links libsqlite3.so.0, as Debian's"
    " does (python3, libsqlite3-0)"
)


def _method(*arguments: Any, result: Any = c_int) -> Any:
    return CFUNCTYPE(result, c_void_p, *arguments)


class IoMethods(Structure):
    """`sqlite3_io_methods`: what can be done with an open file."""

    _fields_ = (
        ("iVersion", c_int),
        ("xClose", _method()),
        ("xRead", _method(c_void_p, c_int, c_int64)),
        ("xWrite", _method(c_void_p, c_int, c_int64)),
        ("xTruncate", _method(c_int64)),
        ("xSync", _method(c_int)),
        ("xFileSize", _method(c_void_p)),
        ("xLock", _method(c_int)),
        ("xUnlock", _method(c_int)),
        ("xCheckReservedLock", _method(c_void_p)),
        ("xFileControl", _method(c_int, c_void_p)),
        ("xSectorSize", _method()),
        ("xDeviceCharacteristics", _method()),
        # From version 2 on
        ("xShmMap", _method(c_int, c_int, c_int, c_void_p)),
        ("xShmLock", _method(c_int, c_int, c_int)),
        ("xShmBarrier", _method(result=None)),
        ("xShmUnmap", _method(c_int)),
        # From version 3 on
        ("xFetch", _method(c_int64, c_int, c_void_p)),
        ("xUnfetch", _method(c_int64, c_void_p)),
    )


METHODS_SINCE: Final = {
    **dict.fromkeys([name for name, *_ in IoMethods._fields_[1:13]], 1),
    **dict.fromkeys([name for name, *_ in IoMethods._fields_[13:17]], 2),
    **dict.fromkeys([name for name, *_ in IoMethods._fields_[17:]], 3),
}
"""Each method of a file with the iVersion that it came with."""


class File(Structure):
    """`sqlite3_file`, less what each file system keeps behind it."""

    _fields_ = (("pMethods", POINTER(IoMethods)),)


class Vfs(Structure):
    """`sqlite3_vfs`: a file system."""

    _fields_ = (
        ("iVersion", c_int),
        ("szOsFile", c_int),
        ("mxPathname", c_int),
        ("pNext", c_void_p),
        ("zName", c_char_p),
        ("pAppData", c_void_p),
        # A file's name is a bare pointer: what a URI asks for stands in memory behind it.
        ("xOpen", _method(c_void_p, c_void_p, c_int, c_void_p)),
        ("xDelete", _method(c_void_p, c_int)),
        ("xAccess", _method(c_void_p, c_int, c_void_p)),
        ("xFullPathname", _method(c_void_p, c_int, c_void_p)),
        ("xDlOpen", c_void_p),
        ("xDlError", c_void_p),
        ("xDlSym", c_void_p),
        ("xDlClose", c_void_p),
        ("xRandomness", c_void_p),
        ("xSleep", _method(c_int)),
        ("xCurrentTime", c_void_p),
        ("xGetLastError", c_void_p),
        # From version 2 on
        ("xCurrentTimeInt64", c_void_p),
        # From version 3 on
        ("xSetSystemCall", c_void_p),
        ("xGetSystemCall", c_void_p),
        ("xNextSystemCall", c_void_p),
    )


VFS_BYTES: Final = {1: Vfs.xCurrentTimeInt64.offset, 2: Vfs.xSetSystemCall.offset}
"""How much of a `Vfs` of an older iVersion there is."""


@cache
def library() -> ctypes.CDLL:
    """Return the SQLite that `sqlite3` has loaded; fail the test that asks when there is none."""
    path = mapped(Path("/proc/self/maps").read_text())
    if path is None:
        pytest.fail(STATIC)
    found = ctypes.CDLL(path)
    found.sqlite3_libversion.restype = c_char_p
    version = found.sqlite3_libversion().decode()
    if version != sqlite3.sqlite_version:
        pytest.fail(f"{path} is SQLite {version}, and `sqlite3` uses {sqlite3.sqlite_version}")
    found.sqlite3_vfs_find.argtypes = [c_char_p]
    found.sqlite3_vfs_find.restype = POINTER(Vfs)
    found.sqlite3_vfs_register.argtypes = [POINTER(Vfs), c_int]
    found.sqlite3_vfs_unregister.argtypes = [POINTER(Vfs)]
    return found


def mapped(maps: str) -> str | None:
    """Find the shared libsqlite3 in a process's *maps* (proc(5)); None when it has none."""
    paths = [line.split(maxsplit=5)[-1] for line in maps.splitlines() if "libsqlite3" in line]
    return paths[0] if paths else None
