"""The tests share themselves out among several processes (tests/shares.py), and lose nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.meta.source import ROOT
from tests.shares import Shares

CONFTEST = """
import os, pytest
from tests.conftest import *
from tests.meta.source import FIGURES

@pytest.fixture(autouse=True)
def figure(request):
    figures = request.config.stash.setdefault(FIGURES, [])
    figures.append(f"{request.node.name} ran in {os.getpid()}")
"""
APART = """
import pytest

def test_short():
    pass

@pytest.mark.takes(9)
def test_long():
    pass
"""
TOGETHER = """
import structlog

def test_one():
    pass

def test_two():
    structlog.get_logger().warning("batch_failed")
"""


def test_a_suite(tmp_path: Path) -> None:
    """The longest begins, files stay whole, and faults and figures of all come to one end."""
    for name, text in (
        ("conftest.py", CONFTEST),
        ("fault/test_apart.py", APART),
        ("unit/test_together.py", TOGETHER),
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider"]
    command += ["-c", str(ROOT / "setup.cfg"), "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert "unexpected: warning plivostatusd: batch_failed" in done.stdout
    assert "1 failed, 3 passed in" in done.stdout.splitlines()[-1]
    ran = dict(re.findall(r"^test_(\w+) ran in (\d+)$", done.stdout, re.MULTILINE))
    assert {"long", "short", "one", "two"} == {*ran}, done.stdout
    # Each of two workers begins with the first share that is left; the third goes to the first.
    assert ran["long"] != ran["short"]
    assert ran["long"] == ran["one"] == ran["two"]


@pytest.mark.parametrize(
    ("test", "share"),
    [
        ("tests/boot/test_service.py::test_reload[trixie]", "trixie"),
        ("tests/boot/test_no_gap.py::test_no_gap[bookworm-kill]", "bookworm"),
        ("tests/unit/test_times.py::test_x[trixie]", "tests/unit/test_times.py"),
        ("tests/fault/test_kill.py::test_x[1]", "tests/fault/test_kill.py::test_x[1]"),
    ],
)
def test_a_share(test: str, share: str) -> None:
    """What one booted Debian runs is one share; else a file is, or a test of the slow folders."""
    assert share == Shares._split_scope(object.__new__(Shares), test)
