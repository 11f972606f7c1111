"""
Rounds of load, in turn on the daemon and on the bare handler (A B A B), and what came of them.

A slow minute of the machine hits both, so the ratio within one round is worth more than any rate.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import prepared
from .processes import Daemon, Process

CONNECTIONS = 64
ROUND_S_MAX = 60
_SCRIPT = Path(__file__).with_name("load.lua")


@dataclass(frozen=True, slots=True)
class Played:
    """How one server bore one round."""

    answered: int
    ok: int
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_s: float

    @property
    def per_second(self) -> float:
        """Answers a second, from the first request to the last answer."""
        return self.answered / self.seconds

    @property
    def cpu_us(self) -> float:
        """Processor time for one request, in microseconds."""
        return self.cpu_s * 1e6 / self.answered


@dataclass(frozen=True, slots=True)
class Round:
    """The same requests on both."""

    daemon: Played
    bare: Played
    commits: int

    @property
    def ratio(self) -> float:
        """The daemon's rate as a share of the bare handler's."""
        return self.daemon.per_second / self.bare.per_second

    @property
    def cpu_ratio(self) -> float:
        """The same by processor time, which other programs on the machine disturb less."""
        return self.bare.cpu_us / self.daemon.cpu_us

    @property
    def commits_per_second(self) -> float:
        """Transactions a second."""
        return self.commits / self.daemon.seconds


def play_rounds(
    daemon: Daemon, bare: Process, batches: Iterable[Iterable[bytes]]
) -> Iterator[Round]:
    """Play each batch on the daemon, then on the bare handler."""
    file = daemon.folder / "requests"
    for batch in batches:
        prepared.write(batch, file)
        commits = daemon.commits
        on_daemon = _play(daemon, file)
        commits = daemon.commits - commits
        yield Round(on_daemon, _play(bare, file), commits)


def _play(server: Process, file: Path) -> Played:
    """Play the requests in *file*, each once; ends the program when one was not answered."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{ROUND_S_MAX}s", "--timeout", "10s"]
    command += ["-s", str(_SCRIPT), f"http://127.0.0.1:{server.port}", "--", str(file)]
    cpu_s = server.cpu_s
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    cpu_s = server.cpu_s - cpu_s
    said = json.loads(ended.stdout.splitlines()[-1])
    if said.pop("broken") or not said["seconds"]:
        raise SystemExit(f"bench: not every request was answered:\n{ended.stdout}")
    return Played(**said, cpu_s=cpu_s)
