"""
One target fuzzed for some time in a process of its own: what parent and child agree on.

A fuzzer takes its process over: it ends it when the time is up, has signal handlers of its own and
instruments what is imported. So tests/fuzz/run.py starts it as a child, with a folder for all that
it reads and writes, and learns from files what was found.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final

INPUT_BYTES_MAX: Final = 4_096
MEMORY_MIB_MAX: Final = 1_024
FOUND: Final = 77
"""How a child ends that has found something: libFuzzer's own number."""


@dataclass(frozen=True)
class Order:
    """What a child is asked to do; *work* is its folder, and *input_s_max* is for one input."""

    target: str
    work: Path
    seed: int
    seconds: int
    input_s_max: int

    @property
    def seeds(self) -> Path:
        """Inputs to begin with."""
        return self.work / "seeds"

    @property
    def words(self) -> Path:
        """A dictionary, in libFuzzer's spelling."""
        return self.work / "words"

    @property
    def grown(self) -> Path:
        """Inputs that reached something new."""
        return self.work / "grown"

    @property
    def scratch(self) -> Path:
        """What a target may write to."""
        return self.work / "scratch"

    @property
    def finds(self) -> Path:
        """Inputs that broke something: `crash-...`, `timeout-...`, `oom-...`."""
        return self.work / "finds"

    def spelt(self) -> list[str]:
        """Spell the order as a command line."""
        return [str(each) for each in astuple(self)]


def order() -> Order:
    """Read the order that this process was started with."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("work", type=Path)
    parser.add_argument("seed", type=int)
    parser.add_argument("seconds", type=int)
    parser.add_argument("input_s_max", type=int)
    return Order(**vars(parser.parse_args()))


def quiet() -> None:
    """Log to nowhere: what is refused a million times would be said a million times."""
    from plivostatusd.log import configure  # not before the fuzzer can instrument it

    nowhere = Path(os.devnull).open("wb")  # noqa: SIM115 - open for as long as the process lives
    configure(level="critical", format="json", numbers="masked", secrets=(), stream=nowhere)
    sys.excepthook = sys.__excepthook__
