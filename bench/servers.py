"""
What is measured side by side: plivostatusd, and what a user might have in its stead.

Owns how each is started, what it verifies, and what its 200 means. All run on the same core, the
processes of PostgreSQL too.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from plivostatusd.simulator.options import AUTH_TOKEN

from . import kept
from .kept import Kept
from .prepared import PUBLIC_URL
from .processes import NO_API, Process, child, daemon, free_port, status, wait_for

FASTIFY = Path(__file__).with_name("peers") / "fastify"
OURS = "plivostatusd"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server is put: a folder of its own, the core that it shares, Plivo's API if any."""

    folder: Path
    core: int
    api_url: str = NO_API


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs, and how to read what it kept; nothing reads what keeps nothing."""

    process: Process
    kept: Callable[[], Kept] | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """One of those that are compared."""

    name: str
    verifies: str
    durable: str
    run: Callable[[Place], AbstractContextManager[Running]]
    stores: bool = False
    """In tables, that is; a log is none."""


@contextmanager
def _ours(place: Place) -> Iterator[Running]:
    with daemon(place.folder, place.core, api_url=place.api_url) as running:
        yield Running(running, lambda: kept.by_daemon(running.store))


@contextmanager
def _python(place: Place, module: str) -> Iterator[Running]:
    port = free_port()
    log = place.folder / "server.log"
    with child([sys.executable, "-m", f"bench.peers.{module}", str(port)], place.core, log) as pid:
        wait_for(lambda: status(port, "/") == HTTPStatus.NOT_FOUND, log)
        yield Running(Process(pid, port))


@contextmanager
def _tornado(place: Place) -> Iterator[Running]:
    with _python(place, "tornado_ok") as running:
        yield running


@contextmanager
def _httptools(place: Place) -> Iterator[Running]:
    with _python(place, "httptools_ok") as running:
        yield running


@contextmanager
def _fastify(place: Place, variant: str, **env: str) -> Iterator[Process]:
    """Run the tutorial's server; its log, Fastify's, is a file."""
    port = free_port()
    log = place.folder / "fastify.log"
    env |= {"PORT": str(port), "PUBLIC_URL": PUBLIC_URL, "PLIVO_AUTH_TOKEN": AUTH_TOKEN}
    env["NODE_ENV"] = "production"
    with child(["node", str(FASTIFY / f"{variant}.js")], place.core, log, env=env) as pid:
        wait_for(lambda: status(port, "/") == HTTPStatus.NOT_FOUND, log)
        yield Process(pid, port)


@contextmanager
def _fastify_log(place: Place) -> Iterator[Running]:
    with _fastify(place, "log") as process:
        yield Running(process, lambda: kept.by_log(place.folder / "fastify.log"))


@contextmanager
def _fastify_sqlite(place: Place) -> Iterator[Running]:
    store = place.folder / "fastify.db"
    with _fastify(place, "sqlite", STORE=str(store)) as process:
        yield Running(process, lambda: kept.by_sqlite(store))


@contextmanager
def _fastify_postgres(place: Place) -> Iterator[Running]:
    with (
        _postgres(place) as (postmaster, programs),
        _fastify(place, "postgres", PGHOST=str(place.folder)) as process,
    ):
        together = Process(process.pid, process.port, beside=(postmaster,))
        yield Running(together, lambda: kept.by_postgres(programs / "psql", place.folder))


@contextmanager
def _postgres(place: Place) -> Iterator[tuple[int, Path]]:
    """Run a cluster of its own with PostgreSQL's default settings, on a socket in the folder."""
    programs, log = _postgres_programs(), place.folder / "postgres.log"
    cluster, user = place.folder / "cluster", _plain_user()
    log.touch()
    cluster.mkdir(mode=0o700)
    if user:
        for path in (cluster, place.folder):
            shutil.chown(path, *user)
    init = [str(programs / "initdb"), "-D", str(cluster), "-U", "bench", "-E", "UTF8"]
    init += ["--locale=C.UTF-8", "--auth=trust"]
    subprocess.run([*_as(user), *init], check=True, stdout=subprocess.DEVNULL)
    command = [str(programs / "postgres"), "-D", str(cluster), "-k", str(place.folder), "-h", ""]
    with child([*_as(user), *command], place.core, log, end=signal.SIGINT) as pid:
        ready = [str(programs / "pg_isready"), "--quiet", "-h", str(place.folder)]
        wait_for(lambda: subprocess.run(ready, check=False).returncode == 0, log)
        yield pid, programs


def _postgres_programs() -> Path:
    """Find where Debian keeps the newest version's."""
    found = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    versions = sorted(found, key=lambda path: int(path.parts[-3]))
    if not versions:
        raise SystemExit("bench: PostgreSQL is missing. Type: make bench")
    return versions[-1].parent


def _plain_user() -> tuple[str, int] | None:
    """Whom PostgreSQL runs as, with the group: it refuses root. Any other user runs it himself."""
    if os.geteuid() != 0:
        return None
    return "postgres", pwd.getpwnam("postgres").pw_gid


def _as(user: tuple[str, int] | None) -> list[str]:
    if user is None:
        return []
    name, group = user
    return ["setpriv", f"--reuid={name}", f"--regid={group}", "--clear-groups"]


_V2_OR_V3 = "V3, or V2; either nonce used before is found out"
_SDK_V3 = "V3, by Plivo's own SDK"

KINDS = (
    Kind(
        OURS,
        _V2_OR_V3,
        "committed and fsynced in SQLite (FULL), verbatim, with nonces, status, figures; log line",
        _ours,
        stores=True,
    ),
    Kind("httptools ok", "nothing", "nothing", _httptools),
    Kind("Tornado ok", "nothing", "nothing", _tornado),
    Kind("Fastify, log", _SDK_V3, "a line was given to the log file, not synced", _fastify_log),
    Kind(
        "Fastify, SQLite",
        _SDK_V3,
        "committed and fsynced in SQLite (FULL), verbatim, with status; log line",
        _fastify_sqlite,
        stores=True,
    ),
    Kind(
        "Fastify, PostgreSQL",
        _SDK_V3,
        "committed and fsynced in PostgreSQL, verbatim, with status; log line",
        _fastify_postgres,
        stores=True,
    ),
)
