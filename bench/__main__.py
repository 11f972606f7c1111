"""
`make bench`: what is claimed about speed, measured beside what a user would write instead.

README.md says how, and keeps the figures of a quiet run.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from statistics import median

import tornado

from . import at_rest, prepared
from .processes import Cores, Daemon, Process, bare_handler, daemon, simulator
from .rounds import CONNECTIONS, Round, play_rounds

SEED = 20261123
# On a disk, whatever /tmp may be; the Filesystem Hierarchy Standard keeps it over restarts.
FOLDER = Path("/var/tmp")  # noqa: S108 - a folder of our own is made in it

HEADING = """\
            requests/s    ratio      p50/p99 in ms        CPU us each  commits
         daemon    bare             daemon       bare    daemon  bare     /s"""
ROW = "{:7.0f} {:7.0f} {:7.2f}  {:5.1f}/{:<5.1f} {:5.1f}/{:<5.1f}  {:6.0f} {:5.0f} {:6.0f}"


def main() -> int:
    """Measure everything; 0 when each 200 was found in the store."""
    options = _options()
    cores = Cores.take()
    _print_machine()
    with tempfile.TemporaryDirectory(prefix="plivostatusd-bench-", dir=FOLDER) as name:
        folder = Path(name)
        _measure_at_rest(_made(folder / "at-rest"), cores)
        with bare_handler(folder, cores.server) as bare:
            _measure_bare_path(_made(folder / "bare-path"), cores, bare, options)
            _measure_refs(_made(folder / "refs"), cores, bare, options)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="rounds that count (default 7)")
    parser.add_argument(
        "--requests", type=int, default=9_000, help="callbacks in a round (default 9000)"
    )
    return parser.parse_args()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _print_machine() -> None:
    versions = {
        "Python": platform.python_version(),
        "Tornado": tornado.version,
        "SQLite": sqlite3.sqlite_version,
        "Linux": platform.release().split("-")[0],
    }
    kind = subprocess.run(
        ["stat", "--file-system", "--format=%T", FOLDER], check=True, capture_output=True, text=True
    ).stdout.strip()
    if kind in {"tmpfs", "ramfs"}:
        raise SystemExit(f"bench: {FOLDER} is memory, and a commit there costs nothing")
    print(
        ", ".join(f"{name} {version}" for name, version in versions.items()), f"on {kind};", end=" "
    )
    print(f"load average {os.getloadavg()[0]:.1f} before the start")


def _measure_at_rest(folder: Path, cores: Cores) -> None:
    ready_s, memory_mib = zip(*at_rest.starts(folder, cores.server), strict=True)
    print(f"\nstart to ready      {_spread(ready_s, '{:.2f}')} s")
    print(f"memory, idle        {_spread(memory_mib, '{:.1f}')} MiB")
    after_mib = at_rest.after_a_send(folder, cores.server, cores.load)
    print(f"after a send        {after_mib:.1f} MiB, Plivo's SDK loaded")


def _measure_bare_path(
    folder: Path, cores: Cores, bare: Process, options: argparse.Namespace
) -> None:
    source = random.Random(SEED)
    with daemon(folder, cores.server) as running:
        batches = (
            prepared.of_new_messages(options.requests, source) for _ in range(options.rounds + 1)
        )
        rounds = _play("/plivo/status, a new message each", running, bare, batches)
    _verify(running, rounds)


def _measure_refs(folder: Path, cores: Cores, bare: Process, options: argparse.Namespace) -> None:
    source = random.Random(SEED)
    size = options.requests // len(prepared.STATUSES)
    with (
        simulator(folder, cores.load) as api_url,
        daemon(folder, cores.server, api_url=api_url) as running,
    ):
        sent = _send(running, size * (options.rounds + 1))
        batches = (
            prepared.of_sent_messages(sent[start : start + size], source)
            for start in range(0, len(sent), size)
        )
        rounds = _play("/plivo/REF/status, three callbacks a message", running, bare, batches)
        show_s = list(at_rest.shows(running, sent[0][1]))
        print(f"plivostatusctl show {_spread(show_s, '{:.3f}')} s, the whole process")
    _verify(running, rounds)


def _send(running: Daemon, count: int) -> list[tuple[str, str]]:
    """Send *count* messages of which the simulator will not call back: their refs and UUIDs."""
    for start in range(0, count, 1000):
        to = ["+14155550006"] * min(1000, count - start)
        running.ask("/send?wait=0", {"to": to, "text": "hello"})
    while running.json("/stats")["messages"].get("queued", 0) < count:
        time.sleep(0.1)
    with closing(sqlite3.connect(f"file:{running.store}?mode=ro", uri=True)) as store:
        return store.execute("SELECT ref, message_uuid FROM messages ORDER BY row").fetchall()


def _play(
    title: str, running: Daemon, bare: Process, batches: Iterator[Iterator[bytes]]
) -> list[Round]:
    """Play all rounds and print them; the first is a warm-up, printed apart."""
    print(f"\n{title}; {CONNECTIONS} connections\n{HEADING}")
    rounds = []
    for number, played in enumerate(play_rounds(running, bare, batches)):
        print(f"{f'round {number}' if number else 'warm-up':<9}{ROW.format(*_columns(played))}")
        sys.stdout.flush()
        rounds.append(played)
    counted = rounds[1:]
    medians = (median(column) for column in zip(*map(_columns, counted), strict=True))
    print(f"{'median':<9}{ROW.format(*medians)}")
    print(f"ratio               {_spread([each.ratio for each in counted], '{:.2f}')}")
    print(f"the same, CPU time  {_spread([each.cpu_ratio for each in counted], '{:.2f}')}")
    print(f"memory, at most     {running.resident_peak_mib:.1f} MiB (bare {bare.resident_mib:.1f})")
    return rounds


def _columns(played: Round) -> tuple[float, ...]:
    mine, bare = played.daemon, played.bare
    return (
        *(mine.per_second, bare.per_second, played.ratio),
        *(mine.p50_ms, mine.p99_ms, bare.p50_ms, bare.p99_ms),
        *(mine.cpu_us, bare.cpu_us, played.commits_per_second),
    )


def _spread(values: Sequence[float], form: str) -> str:
    least, middle, most = (form.format(pick(values)) for pick in (min, median, max))
    return f"{middle} ({least} to {most})"


def _verify(ended: Daemon, rounds: Sequence[Round]) -> None:
    """Count what the store kept, once the daemon has ended; ends the program when it differs."""
    ok = sum(played.daemon.ok for played in rounds)
    answered = sum(played.daemon.answered for played in rounds)
    with closing(sqlite3.connect(f"file:{ended.store}?mode=ro", uri=True)) as store:
        (kept,) = store.execute("SELECT count(*) FROM events WHERE source = 'callback'").fetchone()
    print(f"{answered} answered, {ok} of them 200, {kept} events in the store")
    if not answered == ok == kept:
        raise SystemExit("bench: not every callback was answered 200, and is an event in the store")


if __name__ == "__main__":
    sys.exit(main())
