"""What the figures hold for: machine, versions, and the day."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import re
import sqlite3
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

import plivostatusd

from .servers import FASTIFY


def describe(folder: Path) -> dict[str, str]:
    """
    Say what there is; *folder* is where stores will be.

    Raises:
        SystemExit: *folder* is memory.
    """
    kind = _said("stat", "--file-system", "--format=%T", str(folder))
    if kind in {"tmpfs", "ramfs"}:
        raise SystemExit(f"bench: {folder} is memory, and a commit there costs nothing")
    packages = json.loads((FASTIFY / "package.json").read_text())["dependencies"]
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    assert memory is not None
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores ({_processor()}), {int(memory[1]) / 2**20:.0f} GiB,"
        f" {kind}, an fdatasync of 8 KiB takes {_sync_ms(folder):.2f} ms",
        "load": f"{os.getloadavg()[0]:.1f}",
        "system": f"{_distribution()}, Linux {platform.release().split('-')[0]}",
        "plivostatusd": f"plivostatusd {plivostatusd.__version__}, Python"
        f" {platform.python_version()}, Tornado {version('tornado')}, httptools"
        f" {version('httptools')}, uvloop {version('uvloop')}, SQLite {sqlite3.sqlite_version}",
        "peers": f"Node {_said('node', '--version').lstrip('v')}, "
        + ", ".join(f"{name} {number}" for name, number in packages.items())
        + f", PostgreSQL {_said('psql', '--version').split()[2]}",
        "load tool": _said("wrk", "--version", fails=True).split(" [")[0],
    }


def _said(*command: str, fails: bool = False) -> str:
    ended = subprocess.run(command, check=not fails, capture_output=True, text=True)
    return ended.stdout.strip()


def _processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _distribution() -> str:
    return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")


def _sync_ms(folder: Path) -> float:
    """Measure what any commit here costs at least."""
    file = folder / "synced"
    with file.open("wb", buffering=0) as stream:
        took = []
        for _ in range(101):
            stream.write(b"x" * 8_192)
            began_s = time.perf_counter()
            os.fdatasync(stream.fileno())
            took.append(time.perf_counter() - began_s)
    file.unlink()
    return sorted(took)[50] * 1e3
