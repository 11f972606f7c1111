"""
A daemon whose wall clock a test sets while it runs: a child for tests, and the hand that sets it.

    python -m tests.fault.wall_clock OFFSETS -c FILE

The first eight bytes of the file OFFSETS say by how many nanoseconds the wall clock is ahead; they
are shared memory, so a step takes effect at the next look at the clock. The monotonic clocks are
left alone, as they are on a machine whose wall clock is set. What is set is Python's `time`, which
is where the daemon reads the wall clock.
"""

from __future__ import annotations

import mmap
import struct
import sys
import time
from pathlib import Path
from typing import Final

_OFFSET: Final = struct.Struct("<q")
_SECOND_NS: Final = 1_000_000_000


class WallClock:
    """The offset of one daemon's wall clock from the machine's."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "offset"
        self._file.write_bytes(bytes(_OFFSET.size))

    @property
    def program(self) -> list[str]:
        """What stands in the place of the daemon."""
        return ["-m", "tests.fault.wall_clock", str(self._file)]

    def step_to(self, seconds: int) -> None:
        """Let the wall clock be *seconds* ahead of the machine's, or behind it."""
        with self._file.open("r+b") as file:
            file.write(_OFFSET.pack(seconds * _SECOND_NS))


def follow(file: Path) -> None:
    """Let this process's wall clock go as *file* says."""
    with file.open("rb") as opened:
        offset = mmap.mmap(opened.fileno(), _OFFSET.size, prot=mmap.PROT_READ)
    true_ns = time.time_ns

    def time_ns() -> int:
        return true_ns() + int(_OFFSET.unpack_from(offset)[0])

    time.time_ns = time_ns
    time.time = lambda: time_ns() / _SECOND_NS


if __name__ == "__main__":
    follow(Path(sys.argv[1]))
    from plivostatusd.__main__ import main

    sys.exit(main(sys.argv[2:]))
