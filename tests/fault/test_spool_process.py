"""The spool of a process that is killed, or that has no descriptor left."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from plivostatusd.store.spool import Spool, SpoolUnavailable
from tests.meta.source import ROOT

ROUNDS = 8
APPENDS = """
import sys
from itertools import count
from pathlib import Path
from plivostatusd.store.spool import Spool

spool = Spool(Path(sys.argv[1]), reserve_bytes=65536)
spool.open()
for number in count(int(sys.argv[2])):
    spool.append([b"%d " % number + b"x" * 3000])
    print(number, flush=True)
"""


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Let no file be opened any more."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def numbers_in(spool: Spool) -> list[int]:
    """Return the numbers of the records that the spool gives."""
    return [int(record.split()[0]) for each in spool.sections() for record in each.records]


def test_killed(tmp_path: Path, chance: random.Random) -> None:
    """A process killed at any moment leaves every record of which it said that it is kept."""
    told = -1
    for _ in range(ROUNDS):
        command = [sys.executable, "-c", APPENDS, str(tmp_path / "spool"), str(told + 1)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(chance.randint(1, 60))]
            process.send_signal(signal.SIGKILL)
            told = int([*said, *process.stdout.readlines()][-1])
        spool = Spool(tmp_path / "spool", reserve_bytes=65536)
        spool.open()
        found = list(dict.fromkeys(numbers_in(spool)))
        spool.close()
        assert list(range(told + 1)) == found[: told + 1]
        assert len(found) <= told + 2
        told = found[-1]


def test_no_descriptor_left(tmp_path: Path) -> None:
    """With no descriptor left the spool takes records, from the first one on."""
    spool = Spool(tmp_path / "spool", reserve_bytes=65536)
    spool.open()
    with no_descriptor_left():
        spool.append([b"0"])
        spool.append([b"1"])
        with pytest.raises(SpoolUnavailable, match="Too many open files"):
            numbers_in(spool)
    assert [0, 1] == numbers_in(spool)
    spool.close()


def test_no_descriptor_left_for_a_second_file(tmp_path: Path) -> None:
    """With no descriptor left and no reserve the spool says no, and yes as soon as it can."""
    spool = Spool(tmp_path / "spool", reserve_bytes=0)
    spool.open()
    spool.close()
    with no_descriptor_left(), pytest.raises(SpoolUnavailable, match="Too many open files"):
        spool.append([b"0"])
    spool.append([b"1"])
    assert [1] == numbers_in(spool)
    spool.close()


def test_processes_follow_each_other(tmp_path: Path) -> None:
    """What an earlier process wrote is never appended to: each begins a file of its own."""
    contents: dict[str, bytes] = {}
    for number in range(3):
        spool = Spool(tmp_path / "spool", reserve_bytes=4096)
        spool.open()
        spool.append([b"%d" % number])
        spool.close()
        files = {path.name: path.read_bytes() for path in spool.folder.glob("*.spool")}
        assert contents.items() <= files.items()
        assert number + 1 == len(files)
        contents = files
        assert list(range(number + 1)) == numbers_in(spool)
