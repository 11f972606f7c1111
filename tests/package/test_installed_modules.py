"""The program as packaged, on every Python of Debian 12's and 13's version that is here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from plivostatusd import __version__
from tests.package.built import Package

pytestmark = pytest.mark.timeout(300)

WANTED = ("3.11", "3.13")
IMPORTS = """
import importlib, json, pkgutil, sys
lib = sys.argv[1]
sys.path[:0] = [lib, lib + "/vendor"]
import plivostatusd, plivo, plivo.xml, lxml.etree, tornado.speedups, requests, urllib3, jwt
names = [each.name for each in pkgutil.walk_packages(plivostatusd.__path__, "plivostatusd.")]
for name in names:
    importlib.import_module(name)
where = {name: getattr(sys.modules[name], "__file__", None) for name in sorted(sys.modules)}
print(json.dumps({"count": len(names), "where": where, "own": sorted(sys.stdlib_module_names)}))
"""


def pythons() -> list[str]:
    """Return an interpreter of each wanted version: Debian's, else any that PATH has."""
    return [path for wanted in WANTED if (path := find(wanted))]


def find(wanted: str) -> str | None:
    """Return the path of a Python of the version *wanted*, if there is one."""
    program = "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"
    for each in ("/usr/bin/python3", sys.executable, f"python{wanted}"):
        done = subprocess.run(
            ["sh", "-c", 'exec "$@"', "sh", each, "-I", "-c", program],
            env={**os.environ, "PYENV_VERSION": wanted},  # pyenv's programs ask which one is meant
            capture_output=True,
            text=True,
            check=False,
        )
        version, _, path = done.stdout.strip().partition(" ")
        if version == wanted:
            return path
    return None


@pytest.mark.parametrize("python", pythons())
def test_everything_imports(native: Package, python: str) -> None:
    """Every module of the program imports, with the package's libraries and none of others."""
    lib = native.root / "usr/lib/plivostatusd"
    done = subprocess.run(
        [python, "-I", "-B", "-S", "-W", "error", "-c", IMPORTS, str(lib)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["count"] > 100
    strangers = {
        name: place
        for name, place in said["where"].items()
        if place and name.split(".")[0] not in {*said["own"], "__main__"}
        if not Path(place).is_relative_to(lib)
    }
    assert {} == strangers
    assert any(
        place and place.endswith(".so") and "/lxml/" in place for place in said["where"].values()
    )


@pytest.mark.parametrize("program", ["usr/sbin/plivostatusd", "usr/bin/plivostatusctl"])
def test_programs(native: Package, tmp_path: Path, program: str) -> None:
    """The programs take nothing from the caller's environment or folder."""
    text = native.text(program)
    assert text.startswith("#!/usr/bin/python3 -I\n")
    moved = tmp_path / "program"
    moved.write_text(text.replace('"/usr/lib/', f'"{native.root}/usr/lib/'))
    (tmp_path / "tornado.py").write_text("raise SystemExit('taken from the folder')")
    done = subprocess.run(
        [sys.executable, "-I", moved, "--version"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert re.match(rf"{Path(program).name} {re.escape(__version__)}\b", done.stdout)
