"""
What a scrape of /metrics costs on a store of a million messages, beside one of a thousand.

    python -m bench.scrape [MESSAGES]

Prints seconds of a request over one kept connection, and the daemon's processor time for one.
"""

from __future__ import annotations

import http.client
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from statistics import median, quantiles

from .processes import Cores, Daemon, daemon
from .stores import make

FOLDER = Path("/var/tmp")  # noqa: S108 - a folder of our own is made in it
SCRAPES = 500
WARM_UP = 20
ROW = "{:>9} messages: {:.2f} ms median, {:.2f} ms p99; {:.2f} ms of processor time; {} bytes"


def main() -> int:
    """Measure both."""
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    cores = Cores.take()
    for count in (1_000, most):
        with tempfile.TemporaryDirectory(prefix="plivostatusd-bench-", dir=FOLDER) as name:
            make(Path(name) / "status.db", count)
            with daemon(Path(name), cores.server) as running:
                print(ROW.format(count, *_measure(running)))
    return 0


def _measure(running: Daemon) -> tuple[float, float, float, int]:
    with closing(http.client.HTTPConnection("127.0.0.1", running.api_port)) as connection:
        for _ in range(WARM_UP):
            _scrape(connection)
        before_s = running.cpu_s
        taken = [_scrape(connection) for _ in range(SCRAPES)]
        cpu_ms = (running.cpu_s - before_s) / SCRAPES * 1_000
    times_ms = [seconds * 1_000 for seconds, _ in taken]
    return median(times_ms), quantiles(times_ms, n=100)[-1], cpu_ms, taken[-1][1]


def _scrape(connection: http.client.HTTPConnection) -> tuple[float, int]:
    began_s = time.perf_counter()
    connection.request("GET", "/metrics")
    size = len(connection.getresponse().read())
    return time.perf_counter() - began_s, size


if __name__ == "__main__":
    sys.exit(main())
