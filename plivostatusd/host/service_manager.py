"""
What is said to systemd, and what it hands over.

Owns the notification socket, and the descriptors that the environment announces. Those it takes out
of the environment: no child is to mistake them for its own. Without systemd no word goes anywhere.
The protocol: sd_notify(3), sd_listen_fds(3), sd_pid_notify_with_fds(3), of systemd 252 and 257.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import MutableMapping, Sequence
from typing import Final, NamedTuple

_FIRST: Final = 3  # SD_LISTEN_FDS_START
_SAY_S_MAX: Final = 5.0
_NAMELESS: Final = "unknown"


class Passed(NamedTuple):
    """A descriptor that was handed over, under the name it was stored or configured with."""

    name: str
    descriptor: int


class ServiceManager:
    """
    systemd, as far as it takes an interest in process *pid*.

    `is_there` says whether it does; `watchdog_s` is how long it waits for a sign of life, or None.
    """

    def __init__(self, environ: MutableMapping[str, str], *, pid: int) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self.watchdog_s = _watchdog_s(environ, pid)
        self._passed = _passed(environ, pid)

    @property
    def is_there(self) -> bool:
        """Say whether anybody listens."""
        return bool(self._address)

    def take(self) -> list[Passed]:
        """Give what was handed over, in its order, the first time; it is the caller's to close."""
        passed, self._passed = self._passed, []
        return passed

    def ready(self) -> None:
        """Say that the service is up."""
        self._say("READY=1")

    def stopping(self) -> None:
        """Say that it is on its way down."""
        self._say("STOPPING=1")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._say("WATCHDOG=1", within_s=0)

    def status(self, sentence: str) -> None:
        """Have *sentence*, one line, shown by `systemctl status`."""
        self._say(f"STATUS={' '.join(sentence.split())}", within_s=0)

    def store(self, name: str, descriptors: Sequence[int]) -> None:
        """Have *descriptors* kept open under *name*, and handed to the next process."""
        for descriptor in descriptors:
            self._say("FDSTORE=1", f"FDNAME={name}", "FDPOLL=0", descriptors=(descriptor,))

    def drop(self, name: str) -> None:
        """Have whatever is kept under *name* closed."""
        self._say("FDSTOREREMOVE=1", f"FDNAME={name}")

    def done(self) -> None:
        """Return once all that was said before has been done, or after a few seconds."""
        read, write = os.pipe()
        try:
            self._say("BARRIER=1", descriptors=(write,))
            os.close(write)
            # It closes its copy of that end when it comes to it: sd_notify_barrier(3).
            select.select([read], [], [], _SAY_S_MAX)
        finally:
            os.close(read)

    def _say(
        self, *lines: str, descriptors: Sequence[int] = (), within_s: float = _SAY_S_MAX
    ) -> None:
        """
        Say it; a manager that does not listen must not stop us, so errors end here.

        What is said again and again waits for nobody (*within_s* 0): the loop has more to do.
        """
        if not self._address:
            return
        # An abstract address is spelt with an @ in place of its first byte, which is 0.
        where = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.settimeout(within_s)
            try:
                sock.connect(where)
                socket.send_fds(
                    sock, ["\n".join(lines).encode(errors="replace")], list(descriptors)
                )
            except OSError:
                # It is told again, or it was shutting down. A watchdog that hears nothing acts.
                return


def _watchdog_s(environ: MutableMapping[str, str], pid: int) -> float | None:
    period = environ.get("WATCHDOG_USEC", "")
    if not period.isdecimal() or environ.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    return int(period) / 1_000_000 or None


def _passed(environ: MutableMapping[str, str], pid: int) -> list[Passed]:
    said = {name: environ.pop(f"LISTEN_{name}", "") for name in ("PID", "FDS", "FDNAMES")}
    if said["PID"] != str(pid) or not said["FDS"].isdecimal():
        return []
    count = int(said["FDS"])
    names = said["FDNAMES"].split(":") if said["FDNAMES"] else []
    names += [_NAMELESS] * (count - len(names))
    passed = [Passed(names[index], _FIRST + index) for index in range(count)]
    for each in passed:
        os.set_inheritable(each.descriptor, False)
    return passed
