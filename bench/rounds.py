"""
Rounds of load, on each server in turn (A B C A B C), and what came of them.

A slow minute of the machine hits all of them, so a ratio within a round is worth more than a rate.
"""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from statistics import median

from . import prepared
from .kept import judge
from .processes import Process
from .servers import OURS, Running

CONNECTIONS = 64
ROUND_S_MAX = 300
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
class Rates:
    """What all servers did with the same requests; the round to warm up is not among these."""

    path: str
    rounds: dict[str, list[Played]]
    memory_mib: dict[str, float]
    """Of all processes of a server, at the end."""
    stale: dict[str, int]
    """Messages with a status that a later one had overtaken, of those that keep any."""

    def per_second(self, name: str) -> list[float]:
        """Give one server's rates, a round each."""
        return [played.per_second for played in self.rounds[name]]

    def ratios(self, name: str, other: str) -> list[float]:
        """Give how many times faster one server was than another, a round each."""
        pairs = zip(self.per_second(name), self.per_second(other), strict=True)
        return [mine / theirs for mine, theirs in pairs]

    def top(self, name: str) -> float:
        """Give the rate that a server can take, in requests a second."""
        return median(self.per_second(name))


def play_rounds(
    running: Mapping[str, Running],
    batches: Iterable[Iterable[bytes]],
    folder: Path,
    stale: dict[str, int],
) -> Iterator[dict[str, Played]]:
    """
    Play each batch on every server, and give each round; then look whether each server kept it.

    *stale* is told, at the end, how many messages of each were left with a status overtaken.

    Raises:
        SystemExit: a server did not answer 200 to everything, or lies.
    """
    told = []
    for batch in batches:
        file = folder / "requests"
        requests = list(batch)
        told += [prepared.fact_of(request) for request in requests]
        prepared.write(requests, file)
        yield {name: play(name, server.process, file) for name, server in running.items()}
    for name, server in running.items():
        if server.kept:
            stale[name] = judge(name, server.kept(), told, merges=name == OURS)


def ask(server: Process, request: bytes) -> int:
    """Send one request, and give the status of its answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(request)
        return int(connection.recv(4_096)[9:12])


def play(  # noqa: PLR0913  (the last three are for sends alone)
    name: str,
    server: Process,
    file: Path,
    *,
    connections: int = CONNECTIONS,
    status: HTTPStatus = HTTPStatus.OK,
    port: int | None = None,
) -> Played:
    """
    Play the requests in *file*, each once, on *port* or the server's own; *name* is for errors.

    Raises:
        SystemExit: a request was not answered, or with another *status*.
    """
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{ROUND_S_MAX}s",
        "--timeout",
        f"{ROUND_S_MAX}s",
    ]
    command += ["-s", str(_SCRIPT), f"http://127.0.0.1:{port or server.port}"]
    command += ["--", str(file), str(status.value)]
    cpu_s = server.cpu_s
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    cpu_s = server.cpu_s - cpu_s
    said = json.loads(ended.stdout.splitlines()[-1])
    said.pop("broken")  # connections; what was on its way there was not answered
    if not said["seconds"] or said["ok"] != said["answered"]:
        raise SystemExit(
            f"bench: {name} did not answer every request with {status}:\n{ended.stdout}"
        )
    return Played(**said, cpu_s=cpu_s)
