"""Raising the limit on descriptors, in a child process: a limit lowered here would stay."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.meta.source import ROOT

PROGRAM = """
import resource, sys
from plivostatusd.host.descriptors import raise_limit
soft, hard, wanted = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
print(raise_limit(wanted), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "found"),
    [
        (100, 900, 500, (500, 500)),
        (100, 300, 500, (300, 300)),
        (700, 900, 500, (700, 700)),
        (300, 300, 500, (300, 300)),
    ],
)
def test_raised(soft: int, hard: int, wanted: int, found: tuple[int, int]) -> None:
    """The limit is raised to what is wanted or what is allowed, and never lowered."""
    command = [sys.executable, "-c", PROGRAM, *map(str, (soft, hard, wanted))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert (*found, hard) == tuple(map(int, done.stdout.split()))


def test_without_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no limit all that is wanted is there."""
    unlimited = (-1, -1)
    monkeypatch.setattr("resource.getrlimit", lambda _: unlimited)
    monkeypatch.setattr("resource.setrlimit", None)
    from plivostatusd.host.descriptors import raise_limit

    assert 500 == raise_limit(500)
