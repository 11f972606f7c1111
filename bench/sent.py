"""Messages that the daemon has sent, through its own API and the simulator, to be told of."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing

from .prepared import SILENT
from .processes import Daemon, Process

_LIST = 1_000


def through(running: Process, count: int) -> list[tuple[str, str]]:
    """Send *count* messages of which the simulator will not call back: their refs and UUIDs."""
    assert isinstance(running, Daemon)
    for start in range(0, count, _LIST):
        to = [SILENT] * min(_LIST, count - start)
        running.ask("/send?wait=0", {"to": to, "text": "hello"})
    while running.json("/stats")["messages"].get("queued", 0) < count:
        time.sleep(0.1)
    with closing(sqlite3.connect(f"file:{running.store}?mode=ro", uri=True)) as store:
        return store.execute("SELECT ref, message_uuid FROM messages ORDER BY row").fetchall()
