"""What is measured without load: start, memory, idle work, `plivostatusctl show` as a process."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .processes import Cores, Daemon, daemon, simulator

STARTS = 9
SHOWS = 15
IDLE_S = 10.0
_SETTLES_S = 0.5


@dataclass(frozen=True, slots=True)
class Rest:
    """What was found, one value for each time."""

    ready_s: list[float]
    memory_mib: list[float]
    memory_after_send_mib: float
    """Once Plivo's SDK is loaded."""
    show_s: list[float]
    idle_cpu: float
    """Share of a core."""
    wakeups_per_second: float


def measure(folder: Path, cores: Cores) -> Rest:
    """Measure all of it."""
    ready_s, memory_mib = zip(*_starts(folder, cores.server), strict=True)
    with (
        simulator(folder, cores.load) as api_url,
        daemon(folder, cores.server, api_url=api_url) as running,
    ):
        sent = running.json("/send", {"to": "+14155550001", "text": "hello"})
        time.sleep(_SETTLES_S)
        after_mib = running.resident_mib
        show_s = [running.ctl_s("show", sent["id"]) for _ in range(SHOWS)]
        idle = _idle(running)
    return Rest(list(ready_s), list(memory_mib), after_mib, show_s, *idle)


def _starts(folder: Path, core: int) -> Iterator[tuple[float, float]]:
    """Start a daemon again and again: seconds until `/ready` says 200, and memory once idle."""
    for _ in range(STARTS):
        with daemon(folder, core) as running:
            time.sleep(_SETTLES_S)
            yield running.ready_after_s, running.resident_mib


def _idle(running: Daemon) -> tuple[float, float]:
    """Watch a daemon that nobody asks: share of a core, and how often a second it wakes up."""
    cpu_s, wakeups, began_s = running.cpu_s, _wakeups(running), time.monotonic()
    time.sleep(IDLE_S)
    took_s = time.monotonic() - began_s
    return (running.cpu_s - cpu_s) / took_s, (_wakeups(running) - wakeups) / took_s


def _wakeups(running: Daemon) -> int:
    """Count how often its threads went to sleep by themselves: proc(5)."""
    threads = Path(f"/proc/{running.pid}/task").glob("*/status")
    found = (
        re.search(r"^voluntary_ctxt_switches:\s+(\d+)$", each.read_text(), re.MULTILINE)
        for each in threads
    )
    return sum(int(each[1]) for each in found if each)
