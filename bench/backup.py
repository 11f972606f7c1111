"""
What a backup costs the callbacks that come meanwhile, on a store of a million messages.

    python -m bench.backup [MESSAGES]

Delivers callbacks one after the other, each measured, before, during and after a backup.
"""

from __future__ import annotations

import http.client
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median, quantiles

from . import prepared
from .processes import Cores, Daemon, daemon
from .stores import make

FOLDER = Path("/var/tmp")  # noqa: S108 - a folder of our own is made in it
SECONDS = 5.0


def main() -> int:
    """Measure it."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    cores = Cores.take()
    with tempfile.TemporaryDirectory(prefix="plivostatusd-bench-", dir=FOLDER) as name:
        folder = Path(name)
        make(folder / "status.db", count)
        with daemon(folder, cores.server) as running:
            with _load(running) as taken:
                time.sleep(SECONDS)
            _print("alone", taken)
            with _load(running) as taken:
                took_s = running.ctl_s("backup", str(folder / "backup.db"))
            _print("beside a backup", taken)
            size_mib = (folder / "backup.db").stat().st_size >> 20
            print(f"the backup: {size_mib} MiB in {took_s:.1f} s")
    return 0


def _print(when: str, taken: list[tuple[float, int]]) -> None:
    times_ms = [seconds * 1_000 for seconds, _ in taken]
    bad = sum(status != http.HTTPStatus.OK for _, status in taken)
    p99_ms = quantiles(times_ms, n=100)[-1]
    print(
        f"{when}: {len(taken)} callbacks, {bad} not 200;"
        f" {median(times_ms):.1f} ms median, {p99_ms:.1f} ms p99, {max(times_ms):.0f} ms at most"
    )


@contextmanager
def _load(running: Daemon) -> Iterator[list[tuple[float, int]]]:
    """Deliver callbacks for the length of a block; how long each took, and its answer."""
    taken: list[tuple[float, int]] = []
    is_over = threading.Event()
    thread = threading.Thread(target=_deliver, args=(running, taken, is_over))
    thread.start()
    try:
        yield taken
    finally:
        is_over.set()
        thread.join()


def _deliver(running: Daemon, taken: list[tuple[float, int]], is_over: threading.Event) -> None:
    source = random.Random()
    with closing(http.client.HTTPConnection("127.0.0.1", running.port)) as connection:
        while not is_over.is_set():
            for request in prepared.of_new_messages(100, source):
                head, _, body = request.partition(b"\r\n\r\n")
                first, *fields = head.decode().split("\r\n")
                headers = dict(line.split(": ", 1) for line in fields)
                began_s = time.perf_counter()
                connection.request("POST", first.split()[1], body, headers)
                answer = connection.getresponse()
                answer.read()
                taken.append((time.perf_counter() - began_s, answer.status))
                if is_over.is_set():
                    break


if __name__ == "__main__":
    sys.exit(main())
