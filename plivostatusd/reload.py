"""
What `systemctl reload` runs: tells the daemon to read its configuration again, and waits for it.

Exit status 0: taken; 1: refused, and the old settings go on, or no answer came. What the daemon has
to say of it goes to standard output, which is the journal. The daemon itself tests the file first:
systemd hands the service's credentials to its main process alone (252: not readable; 257: not set),
so nobody else could.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from plivostatusd.host import reload_note
from plivostatusd.host.reload_note import ReloadNote

USAGE: Final = 64
WAIT_S_MAX: Final = 20.0
LOOK_EVERY_S: Final = 0.02


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the helper; its argument is the daemon's process id."""
    arguments = sys.argv[1:] if arguments is None else arguments
    folder = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if not folder or len(arguments) != 1 or not arguments[0].isdecimal():
        sys.stderr.write("usage: reload PID, as systemd runs it: systemctl reload plivostatusd\n")
        return USAGE
    try:
        note = reload(int(arguments[0]), Path(folder))
    except ProcessLookupError:
        sys.stderr.write("reload: the daemon is gone: systemctl status plivostatusd\n")
        return 1
    if note is None:
        sys.stderr.write("reload: the daemon does not answer: journalctl -u plivostatusd -n 20\n")
        return 1
    for sentence in note.sentences:
        sys.stdout.write(f"reload: {sentence}\n")
    return 0 if note.taken else 1


def reload(pid: int, folder: Path) -> ReloadNote | None:
    """
    Have process *pid* reload, and give what it says in *folder*; None when it says nothing.

    Raises:
        ProcessLookupError: there is no such process, or no longer.
    """
    before = reload_note.read(folder)
    ends_s = time.monotonic() + WAIT_S_MAX
    os.kill(pid, signal.SIGHUP)
    while time.monotonic() < ends_s:
        note = reload_note.read(folder)
        if note is not None and note.pid == pid and note != before:
            return note
        os.kill(pid, 0)
        time.sleep(LOOK_EVERY_S)
    return None


if __name__ == "__main__":
    sys.exit(main())
