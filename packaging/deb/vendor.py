"""
Merges the wheels into the one folder that the package ships, /usr/lib/plivostatusd/vendor.

Modules that are compiled carry their Python in their names (`etree.cpython-311-....so`), so those
for several Pythons lie side by side; every other file of one name has to be the same in all
wheels, or the merge fails. What nobody imports is left out.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final


class Clash(Exception):
    """Two wheels have different files of one name, or a wheel has what nobody merges."""


# Of a wheel's own records: what it is and its licences. The others differ between Pythons.
_RECORDS: Final = re.compile(r"METADATA|(?i:licen[cs]es?|notice|copying|authors)\b.*")

# Sources of what is compiled, what only type checkers read, and tests.
_SUFFIXES: Final = frozenset({".c", ".h", ".pxd", ".pxi", ".pyi", ".pyx", ".typed"})
_TESTS: Final = frozenset({"test", "tests"})

# The SDK imports lxml.etree for its XML answers to phone calls, and no more of lxml.
_LXML: Final = re.compile(r"__init__\.py|(etree|_elementpath)\..*so")


def is_kept(name: str) -> bool:
    """Say whether a wheel's file *name* goes into the package."""
    path = PurePosixPath(name)
    top, *rest = path.parts
    if top.endswith(".dist-info"):
        return bool(_RECORDS.fullmatch(rest[0]))
    if path.suffix in _SUFFIXES or _TESTS & set(path.parts[:-1]):
        return False
    return top != "lxml" or bool(_LXML.fullmatch("/".join(rest)))


def merge(wheels: Iterable[Path], target: Path) -> None:
    """
    Unpack *wheels* into the new folder *target*.

    Raises:
        Clash: two of them do not fit together; *target* is left half made.
    """
    target.mkdir(parents=True)
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for name, content in _files(archive):
                _put(target / name, _without_interpreter(name, content), wheel)


def _files(archive: zipfile.ZipFile) -> Iterator[tuple[str, bytes]]:
    for name in sorted(archive.namelist()):
        if name.endswith("/"):
            continue
        if name.partition("/")[0].endswith(".data"):
            raise Clash(f"{archive.filename} installs {name} beside its modules")
        if is_kept(name):
            yield name, archive.read(name)


def _put(path: Path, content: bytes, wheel: Path) -> None:
    if path.exists():
        if path.read_bytes() != content:
            raise Clash(f"{wheel.name}: {path.name} differs from another wheel's ({path})")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _without_interpreter(name: str, content: bytes) -> bytes:
    """Blank a module's #! line, which names interpreters that are not there; lines keep numbers."""
    if name.endswith(".py") and content.startswith(b"#!"):
        return content[content.index(b"\n") :]
    return content
