"""
The processes that are measured: the daemon and the bare handler on one core, all else on another.

Owns their start, their end, and what /proc says of them.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from plivostatusd.simulator.options import AUTH_ID, AUTH_TOKEN

from .prepared import PUBLIC_URL

STARTS_WITHIN_S = 10.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cores:
    """The core of what is measured, and the one of what measures."""

    server: int
    load: int

    @classmethod
    def take(cls) -> Self:
        """Take the first two cores that this process may use, and move it to the second."""
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:
            raise SystemExit("bench: two cores are needed, one for the daemon and one for the load")
        os.sched_setaffinity(0, {cores[1]})
        return cls(cores[0], cores[1])


@dataclass(frozen=True, slots=True)
class Process:
    """A server under measurement."""

    pid: int
    port: int

    @property
    def resident_mib(self) -> float:
        """Memory in use now."""
        return self._memory_mib("VmRSS")

    @property
    def resident_peak_mib(self) -> float:
        """The most memory that was ever in use."""
        return self._memory_mib("VmHWM")

    @property
    def cpu_s(self) -> float:
        """Processor time used so far, of all threads, user and system."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

    def _memory_mib(self, name: str) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
        assert found is not None
        return int(found[1]) / 1024


@dataclass(frozen=True, slots=True)
class Daemon(Process):
    """A real daemon, on a configuration and a store of its own."""

    api_port: int
    folder: Path
    ready_after_s: float

    @property
    def config(self) -> Path:
        """The configuration that it runs on."""
        return self.folder / "plivostatusd.conf"

    @property
    def store(self) -> Path:
        """The store that it writes."""
        return self.folder / "status.db"

    def ask(self, target: str, body: Mapping[str, object] | None = None) -> bytes:
        """Ask the local API, and give the answer's body."""
        with _answer(self.api_port, target, body) as answer:
            return answer.read()

    @property
    def commits(self) -> int:
        """
        Transactions so far, as SQLite counts them in the header of its WAL index.

        Source: sqlite.org/walformat.html, field iChange, read 2026-11.
        """
        with Path(f"{self.store}-shm").open("rb") as file:
            count: int = struct.unpack("=8xI", file.read(12))[0]
        return count

    def json(self, target: str, body: Mapping[str, object] | None = None) -> Any:
        """Ask the local API, and read the answer."""
        return json.loads(self.ask(target, body))


@contextlib.contextmanager
def _answer(
    port: int, target: str, body: Mapping[str, object] | None = None
) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        if body is None:
            connection.request("GET", target)
        else:
            connection.request("POST", target, json.dumps(body))
        yield connection.getresponse()


def _status(port: int, target: str) -> int:
    with _answer(port, target) as answer:
        return answer.status


@contextlib.contextmanager
def daemon(folder: Path, core: int, *, api_url: str = "http://127.0.0.1:9") -> Iterator[Daemon]:
    """Run a daemon for the length of a block; *folder* keeps its store and its log."""
    port, api_port = _free_port(), _free_port()
    config = folder / "plivostatusd.conf"
    config.write_text(
        f"[plivo]\nauth_id = {AUTH_ID}\nauth_token = {AUTH_TOKEN}\napi_url = {api_url}\n"
        f"[callbacks]\npublic_url = {PUBLIC_URL}\nlisten = 127.0.0.1:{port}\n"
        f"[api]\nlisten = 127.0.0.1:{api_port}, unix:{folder}/api.sock\n"
        f"[store]\npath = {folder}/status.db\n"
        "[send]\nfrom = +14155551212\nper_second = 10000\n"
    )
    config.chmod(0o600)
    command = [sys.executable, "-m", "plivostatusd", "-c", str(config)]
    log = folder / "daemon.log"
    started_s = time.perf_counter()
    with _child(command, core, log) as pid:
        _wait_for(lambda: _status(api_port, "/ready") == http.HTTPStatus.OK, log)
        ready_after_s = time.perf_counter() - started_s
        yield Daemon(pid, port, api_port, folder, ready_after_s)


@contextlib.contextmanager
def bare_handler(folder: Path, core: int) -> Iterator[Process]:
    """Run the bare Tornado handler for the length of a block."""
    port = _free_port()
    command = [sys.executable, "-m", "bench.bare", str(port)]
    log = folder / "bare.log"
    with _child(command, core, log) as pid:
        _wait_for(lambda: _status(port, "/") == http.HTTPStatus.NOT_FOUND, log)
        yield Process(pid, port)


@contextlib.contextmanager
def simulator(folder: Path, core: int) -> Iterator[str]:
    """Run Plivo's simulator for the length of a block, and give its URL."""
    port = _free_port()
    command = [sys.executable, "-m", "plivostatusd.simulator", "--listen", f"127.0.0.1:{port}"]
    log = folder / "simulator.log"
    with _child(command, core, log):
        _wait_for(lambda: _status(port, "/") > 0, log)
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def _child(command: list[str], core: int, log: Path) -> Iterator[int]:
    pinned = ["taskset", "--cpu-list", str(core), *command]
    with (
        log.open("ab") as stream,
        subprocess.Popen(pinned, stdout=stream, stderr=subprocess.STDOUT) as child,
    ):
        try:
            yield child.pid
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(timeout=30)


def _wait_for(is_up: Callable[[], bool], log: Path) -> None:
    """Ask again and again, a millisecond apart, until there is an answer."""
    ends_s = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < ends_s:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if is_up():
                return
        time.sleep(0.001)
    raise SystemExit(f"bench: a server did not start; {log.name} says:\n{log.read_text()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
