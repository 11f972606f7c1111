"""What is measured without load: start, idle memory, and `plivostatusctl show` as a process."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from .processes import Daemon, daemon, simulator

STARTS = 9
SHOWS = 15
_SETTLES_S = 0.5


def starts(folder: Path, core: int) -> Iterator[tuple[float, float]]:
    """Start a daemon again and again: seconds until `/ready` says 200, and memory once idle."""
    for _ in range(STARTS):
        with daemon(folder, core) as running:
            time.sleep(_SETTLES_S)
            yield running.ready_after_s, running.resident_mib


def after_a_send(folder: Path, core: int, load_core: int) -> float:
    """Give the memory of an idle daemon that has sent once, which loads Plivo's SDK, in MiB."""
    with (
        simulator(folder, load_core) as api_url,
        daemon(folder, core, api_url=api_url) as running,
    ):
        running.ask("/send", {"to": "+14155550006", "text": "hello"})
        time.sleep(_SETTLES_S)
        return running.resident_mib


def shows(running: Daemon, message_id: str) -> Iterator[float]:
    """Time whole processes of `plivostatusctl show`, in seconds."""
    command = [sys.executable, "-m", "plivostatusd.ctl", "-c", str(running.config)]
    for _ in range(SHOWS):
        started_s = time.perf_counter()
        subprocess.run([*command, "show", message_id], check=True, stdout=subprocess.DEVNULL)
        yield time.perf_counter() - started_s
