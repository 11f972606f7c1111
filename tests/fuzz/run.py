"""
Running one target as a child process, and reading what became of it.

`run` promises to come back soon after the time that was given, whatever the child does, and with a
copy of each input that was found.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from tests.fuzz import target
from tests.fuzz.child import Order

ENGINES: Final = {"atheris": "tests.fuzz.guided", "hypothesis": "tests.fuzz.drawn"}
INPUT_S_MAX: Final = 10
START_S_MAX: Final = 30
"""Longest time for a child to start and to end, beyond what it was given to fuzz."""

_EXECUTED: Final = re.compile(r"stat::number_of_executed_units: (\d+)")
_COVERAGE: Final = re.compile(r"^#\d+\s+(?:INITED|DONE) +cov: (\d+)", re.MULTILINE)
_NOISE: Final = re.compile(
    r"INFO: |WARNING: Failed to find|#\d+\s|stat::|###|\"|Dictionary: |Done "
)
_TAIL: Final = re.compile(r"^SUMMARY: .*", re.MULTILINE | re.DOTALL)
_SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of random name is made there


@dataclass(frozen=True)
class Result:
    """What became of a run. *coverage* is in edges, at its start and its end; empty: unknown."""

    order: Order
    seconds: float
    executions: int
    coverage: tuple[int, ...]
    finds: tuple[Path, ...]
    has_failed: bool
    said: str

    def __str__(self) -> str:
        grown = " -> ".join(map(str, self.coverage)) if self.coverage else "not measured"
        rate = self.executions / self.seconds
        return (
            f"{self.order.target:14} {self.executions:>11,} executions {rate:>8,.0f}/s"
            f"   coverage {grown}   seed {self.order.seed}"
        )


def best_engine() -> str:
    """Name the engine to use: atheris where it is installed."""
    return "atheris" if find_spec("atheris") else "hypothesis"


def run(  # noqa: PLR0913 - one a question of the command line, and one for tests
    name: str,
    *,
    engine: str,
    seed: int,
    seconds: int,
    finds: Path,
    input_s_max: int = INPUT_S_MAX,
) -> Result:
    """Fuzz the target *name* for some seconds; what is found is kept in the folder *finds*."""
    shared = _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else None
    # In memory where that can be: a target that writes a file an input would wait for a disk.
    with tempfile.TemporaryDirectory(prefix="plivostatusd-fuzz-", dir=shared) as work:
        order = Order(name, Path(work), seed, seconds, input_s_max)
        _prepare(order)
        began_s = time.monotonic()
        status, said = _start(order, ENGINES[engine])
        # The time that it took to start is not what the rate is about.
        took_s = min(order.seconds, time.monotonic() - began_s)
        kept = tuple(_kept(path, finds / name) for path in sorted(order.finds.iterdir()))
        return _result(order, took_s, status, said, kept)


def _prepare(order: Order) -> None:
    for folder in (order.seeds, order.grown, order.scratch, order.finds):
        folder.mkdir()
    for path in target.corpus(order.target):
        shutil.copy(path, order.seeds)
    words = target.load(order.target).WORDS
    spelt = ("".join(f"\\x{byte:02x}" for byte in word) for word in words)
    order.words.write_text("".join(f'"{word}"\n' for word in spelt))


def _start(order: Order, module: str) -> tuple[int | None, str]:
    """Run the child; its exit status, None when it had to be killed, and what it said."""
    command = [sys.executable, "-m", module, *order.spelt()]
    # What is found must be found again: hashes of texts shall not differ from run to run.
    environ = {**os.environ, "PYTHONHASHSEED": "0"}
    try:
        done = subprocess.run(
            command,
            cwd=target.ROOT,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=order.seconds + order.input_s_max + START_S_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        return None, (error.stdout or b"").decode("utf-8", "replace")
    return done.returncode, done.stdout.decode("utf-8", "replace")


def _result(
    order: Order, seconds: float, status: int | None, said: str, finds: tuple[Path, ...]
) -> Result:
    executed = _EXECUTED.search(said)
    return Result(
        order,
        seconds,
        executions=int(executed[1]) if executed else 0,
        coverage=tuple(map(int, _COVERAGE.findall(said))),
        finds=finds,
        has_failed=status != 0 or bool(finds) or not executed,
        said=_told(said),
    )


def _told(said: str) -> str:
    """Leave what a person wants to read: the traceback, or why the process was ended."""
    lines = _TAIL.sub("", said).splitlines()
    return "\n".join(line for line in lines if line.strip() and not _NOISE.match(line))


def _kept(find: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(find, folder))
