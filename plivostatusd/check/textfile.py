"""
A file for node_exporter's textfile collector: what a scrape of the daemon would give.

It is written beside its place under a name that the collector does not read, and renamed, so that
nobody reads half of it. `plivostatusd_up` tells whether the daemon answered; when it did not, that
is all there is, so that no old figure is taken for news.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_UP = """\
# HELP plivostatusd_up Whether the daemon answered when this file was written
# TYPE plivostatusd_up gauge
plivostatusd_up {}
"""
_MODE = 0o644  # the exporter runs as a user of its own, and no secret is in it


def write(path: Path, metrics: bytes | None) -> None:
    """
    Put *metrics*, None for none, in the place of *path*, in one step.

    Raises:
        OSError: it cannot be written there.
    """
    text = _UP.format(int(metrics is not None)).encode() + (metrics or b"")
    # The folder may be another user's, who must not have us write through a link of his.
    made = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            os.fchmod(file.fileno(), _MODE)
        made.replace(path)
    except BaseException:
        with suppress(OSError):
            made.unlink()
        raise
