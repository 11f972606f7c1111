"""A minute of `make fuzz`: each target for its share, by either engine that there is here."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from tests.fuzz import target
from tests.fuzz.run import best_engine

SECONDS_IN_ALL = 60
DRAWN_S = 1
"""Of that, for Hypothesis where it is not the best there is: so that it works where it has to."""

SHARE_S = SECONDS_IN_ALL // len(target.NAMES)


def fuzz(name: str, engine: str, seconds: int, chance: random.Random) -> str:
    """Run the runner as `make fuzz` does, and give what it said."""
    command = [sys.executable, "-m", "tests.fuzz", f"--engine={engine}"]
    command += [f"--seconds-each={seconds}", f"--seed={chance.randrange(1, 2**31)}", name]
    done = subprocess.run(
        command, cwd=target.ROOT, capture_output=True, text=True, check=False, timeout=55
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.takes(10)
@pytest.mark.parametrize("name", target.NAMES)
def test_nothing_is_found(name: str, chance: random.Random) -> None:
    """In its share of a minute the best engine finds nothing that breaks the target."""
    seconds = SHARE_S if best_engine() == "hypothesis" else SHARE_S - DRAWN_S
    assert name in fuzz(name, best_engine(), seconds, chance)


@pytest.mark.skipif(best_engine() == "hypothesis", reason="it had the whole share")
@pytest.mark.parametrize("name", target.NAMES)
def test_nothing_is_drawn(name: str, chance: random.Random) -> None:
    """Where atheris is not to be had, the same targets run under Hypothesis."""
    said = fuzz(name, "hypothesis", DRAWN_S, chance)
    assert "drawn and not guided by coverage" in said.splitlines()[0]
