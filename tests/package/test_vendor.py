"""Merging wheels: what is kept, what lies side by side, and what does not fit."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from deb import wheels
from deb.vendor import Clash, is_kept, merge

INFO = "thing-1.dist-info"


def wheel(folder: Path, name: str, files: Mapping[str, str]) -> Path:
    """Write a wheel."""
    path = folder / f"{name}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for each, content in files.items():
            archive.writestr(each, content)
    return path


def contents(folder: Path) -> dict[str, str]:
    """Return every file below *folder*."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def test_two_pythons_side_by_side(tmp_path: Path) -> None:
    """Compiled modules for each Python lie beside the sources that they share."""
    one = wheel(tmp_path, "a", {"thing/m.py": "x = 1\n", "thing/f.cpython-311.so": "11"})
    two = wheel(tmp_path, "b", {"thing/m.py": "x = 1\n", "thing/f.cpython-313.so": "13"})
    merge([one, two], tmp_path / "vendor")
    assert contents(tmp_path / "vendor") == {
        "thing/m.py": "x = 1\n",
        "thing/f.cpython-311.so": "11",
        "thing/f.cpython-313.so": "13",
    }


def test_a_clash(tmp_path: Path) -> None:
    """Two different files of one name end the merge, and are named."""
    one = wheel(tmp_path, "a", {"thing/m.py": "x = 1\n"})
    two = wheel(tmp_path, "b", {"thing/m.py": "x = 2\n"})
    with pytest.raises(Clash, match=r"b\.whl: m\.py differs"):
        merge([one, two], tmp_path / "vendor")


def test_what_a_wheel_installs_elsewhere(tmp_path: Path) -> None:
    """A wheel that brings programs or headers beside its modules is not merged silently."""
    one = wheel(tmp_path, "a", {"thing-1.data/scripts/run": "#!python\n"})
    with pytest.raises(Clash, match=r"thing-1\.data/scripts/run"):
        merge([one], tmp_path / "vendor")


def test_interpreter_lines(tmp_path: Path) -> None:
    """A module's #! line goes, and every other line keeps its number."""
    one = wheel(tmp_path, "a", {"m.py": "#!/usr/bin/env python\n# c\nx = 1\n", "n.py": "#x\n"})
    merge([one], tmp_path / "vendor")
    assert contents(tmp_path / "vendor") == {"m.py": "\n# c\nx = 1\n", "n.py": "#x\n"}


@pytest.mark.parametrize(
    "name",
    [
        "six.py",
        "tornado/speedups.abi3.so",
        "certifi/cacert.pem",
        "lxml/__init__.py",
        "lxml/etree.cpython-313-x86_64-linux-gnu.so",
        f"{INFO}/METADATA",
        f"{INFO}/LICENSE",
        f"{INFO}/licenses/vendored/COPYING.txt",
        "plivo/resources/tests.py",
    ],
)
def test_kept(name: str) -> None:
    """Modules, their data, and what says whose they are, are kept."""
    assert is_kept(name)


@pytest.mark.parametrize(
    "name",
    [
        f"{INFO}/RECORD",
        f"{INFO}/WHEEL",
        f"{INFO}/entry_points.txt",
        "tornado/test/web_test.py",
        "aiosqlite/tests/smoke.py",
        "tornado/speedups.pyi",
        "lxml/etree.pyx",
        "lxml/html/diff.py",
        "lxml/objectify.cpython-313-x86_64-linux-gnu.so",
        "lxml/isoschematron/__init__.py",
        "requests/py.typed",
    ],
)
def test_left_out(name: str) -> None:
    """Sources of what is compiled, tests, stubs and what nobody imports are left out."""
    assert not is_kept(name)


def test_wheels_of_another_lock(tmp_path: Path) -> None:
    """Wheels that were downloaded for another lock are refused, with the command to type."""
    lock = tmp_path / "runtime.txt"
    lock.write_text("six==1.17.0\n")
    with pytest.raises(FileNotFoundError, match="type: packaging/setup-dev deb"):
        wheels.ready(wheels.folder("amd64"), lock)
