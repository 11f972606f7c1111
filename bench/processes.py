"""
The processes that are measured, on one core, and those that measure, on another.

Owns their start, their end, and what /proc says of them; the daemon and its simulator are here too,
its peers in servers.py.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from plivostatusd.simulator.options import AUTH_ID, AUTH_TOKEN

from .prepared import PUBLIC_URL

STARTS_WITHIN_S = 30.0
NO_API = "http://127.0.0.1:9"
"""Where nobody listens."""

# Below those that the kernel gives to whoever connects (32768 and up), as the load does.
_PORTS = iter(range(20_000, 32_000))
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
    """A server under measurement: a process, and those that it started or that serve it alone."""

    pid: int
    port: int
    beside: tuple[int, ...] = ()
    """Other processes that work for it: PostgreSQL's."""

    @property
    def resident_mib(self) -> float:
        """Memory in use now."""
        return self._memory_mib("VmRSS")

    @property
    def resident_peak_mib(self) -> float:
        """The most memory that was ever in use."""
        return self._memory_mib("VmHWM")

    @property
    def shared_mib(self) -> float:
        """Memory in use now, of all its processes; pages that several share count once."""
        rollups = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self._pids())
        found = [re.search(r"^Pss:\s+(\d+) kB$", text, re.MULTILINE) for text in rollups]
        return sum(int(each[1]) for each in found if each) / 1024

    @property
    def cpu_s(self) -> float:
        """Processor time used so far, of all threads and processes, user and system."""
        ticks = 0
        for pid in self._pids():
            fields = _fields(pid)
            ticks += int(fields[11]) + int(fields[12])
        return ticks / _TICKS_PER_S

    def _pids(self) -> list[int]:
        roots = {self.pid, *self.beside}
        found = sorted(roots)
        if self.beside:
            pids = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
            found += [pid for pid in pids if _parent(pid) in roots]
        return found

    def _memory_mib(self, name: str) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
        assert found is not None
        return int(found[1]) / 1024


def _fields(pid: int) -> list[str]:
    """Give the fields of /proc/PID/stat from the third on: proc(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _parent(pid: int) -> int | None:
    with contextlib.suppress(OSError):
        return int(_fields(pid)[1])
    return None  # ended meanwhile


@dataclass(frozen=True, slots=True, kw_only=True)
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

    def ctl_s(self, *words: str) -> float:
        """Run `plivostatusctl` with *words*, and give how long the whole process took."""
        command = [sys.executable, "-m", "plivostatusd.ctl", "-c", str(self.config), *words]
        began_s = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env=environment())
        return time.perf_counter() - began_s

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


def status(port: int, target: str) -> int:
    """Ask a server on loopback, and give the status that it answers."""
    with _answer(port, target) as answer:
        return answer.status


@contextlib.contextmanager
def daemon(
    folder: Path, core: int, *, api_url: str = NO_API, per_second: int = 10_000
) -> Iterator[Daemon]:
    """
    Run a daemon for the length of a block; *folder* keeps its store and its log.

    All settings are the defaults, except the pace of API calls.
    """
    port, api_port = free_port(), free_port()
    config = folder / "plivostatusd.conf"
    config.write_text(
        f"[plivo]\nauth_id = {AUTH_ID}\nauth_token = {AUTH_TOKEN}\napi_url = {api_url}\n"
        f"[callbacks]\npublic_url = {PUBLIC_URL}\nlisten = 127.0.0.1:{port}\n"
        f"[api]\nlisten = 127.0.0.1:{api_port}, unix:{folder}/api.sock\n"
        f"[store]\npath = {folder}/status.db\n"
        f"[send]\nfrom = +14155551212\nper_second = {per_second}\n"
    )
    config.chmod(0o600)
    command = [sys.executable, "-m", "plivostatusd", "-c", str(config)]
    log = folder / "daemon.log"
    started_s = time.perf_counter()
    with child(command, core, log) as pid:
        wait_for(lambda: status(api_port, "/ready") == http.HTTPStatus.OK, log)
        ready_after_s = time.perf_counter() - started_s
        yield Daemon(pid, port, api_port=api_port, folder=folder, ready_after_s=ready_after_s)


@contextlib.contextmanager
def simulator(folder: Path, core: int) -> Iterator[str]:
    """Run Plivo's simulator for the length of a block, and give its URL."""
    port = free_port()
    command = [sys.executable, "-m", "plivostatusd.simulator", "--listen", f"127.0.0.1:{port}"]
    log = folder / "simulator.log"
    with child(command, core, log):
        wait_for(lambda: status(port, "/") > 0, log)
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def child(
    command: Sequence[str],
    core: int,
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    end: signal.Signals = signal.SIGTERM,
) -> Iterator[int]:
    """Run a process on *core* for the length of a block, and give its number; *log* is appended."""
    pinned = ["taskset", "--cpu-list", str(core), *command]
    with (
        log.open("ab") as stream,
        subprocess.Popen(
            pinned, stdout=stream, stderr=subprocess.STDOUT, env={**environment(), **(env or {})}
        ) as started,
    ):
        try:
            yield started.pid
        finally:
            started.send_signal(end)
            started.wait(timeout=30)


def environment() -> dict[str, str]:
    """
    Give what processes under measurement inherit: nothing that is meant for Python.

    Where PYTHONDONTWRITEBYTECODE is set, each start would compile the whole program anew (0.1 s),
    which no installed one does.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def wait_for(is_up: Callable[[], bool], log: Path) -> None:
    """Ask again and again, a millisecond apart, until there is an answer."""
    ends_s = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < ends_s:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if is_up():
                return
        time.sleep(0.001)
    raise SystemExit(f"bench: a server did not start; {log.name} says:\n{log.read_text()}")


def free_port() -> int:
    """Find a port of loopback that nobody has, another one each time."""
    for port in _PORTS:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise SystemExit("bench: no port of loopback is free")
