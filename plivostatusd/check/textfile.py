"""
A file for node_exporter's textfile collector: what a scrape of the daemon would give.

It is replaced in one step, and until then has a name that the collector does not read, so that
nobody reads half of it. `plivostatusd_up` tells whether the daemon answered; when it did not, that
is all there is, so that no old figure is taken for news.
"""

from __future__ import annotations

from pathlib import Path

from plivostatusd.ctl.replacing import EVERYBODYS, replacing

_UP = """\
# HELP plivostatusd_up Whether the daemon answered when this file was written
# TYPE plivostatusd_up gauge
plivostatusd_up {}
"""


def write(path: Path, metrics: bytes | None) -> None:
    """
    Put *metrics*, None for none, in the place of *path*, in one step.

    The exporter, which runs as a user of its own, may read it: no secret is in it.

    Raises:
        CtlError: it cannot be written there.
    """
    with replacing(path, mode=EVERYBODYS) as put:
        put(_UP.format(int(metrics is not None)).encode())
        put(metrics or b"")
