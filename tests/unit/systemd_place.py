"""systemd's notification socket, played: it keeps what it is given, and hands it on."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from plivostatusd.host.service_manager import Passed, ServiceManager

END = b"END"


class Systemd:
    """Hears what services say, in a thread of its own, as the real one does beside them."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "notify")
        self.said: list[str] = []
        self.kept: list[Passed] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._thread = threading.Thread(target=self._hear)
        self._thread.start()

    def _hear(self) -> None:
        while True:
            data, descriptors, _, _ = socket.recv_fds(self._socket, 4096, 4)
            if data == END:
                return
            lines = dict(line.partition("=")[::2] for line in data.decode().split("\n"))
            self._do(lines, descriptors)
            self.said.append(data.decode())

    def _do(self, lines: dict[str, str], descriptors: list[int]) -> None:
        name = lines.get("FDNAME", "")
        if "FDSTORE" in lines:
            known = {os.fstat(each.descriptor).st_ino for each in self.kept}
            for each in descriptors:
                if os.fstat(each).st_ino in known:
                    os.close(each)
                else:
                    self.kept.append(Passed(name, each))
        elif "FDSTOREREMOVE" in lines:
            for gone in [each for each in self.kept if each.name == name]:
                os.close(gone.descriptor)
                self.kept.remove(gone)
        else:
            for each in descriptors:
                os.close(each)

    def service(self, *given: Passed) -> ServiceManager:
        """Start a process's life: it is handed what is kept, and what a socket unit has *given*."""
        manager = ServiceManager({"NOTIFY_SOCKET": self.address}, pid=os.getpid())
        kept = [Passed(name, os.dup(descriptor)) for name, descriptor in self.kept]
        manager._passed = [*kept, *given]
        return manager

    def settle(self) -> None:
        """Return once everything that was said so far is done."""
        ServiceManager({"NOTIFY_SOCKET": self.address}, pid=os.getpid()).done()

    def close(self) -> None:
        """End, and keep nothing."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(END, self.address)
        self._thread.join()
        self._socket.close()
        for each in self.kept:
            os.close(each.descriptor)


@contextmanager
def systemd(folder: Path) -> Iterator[Systemd]:
    """Play it for a while."""
    played = Systemd(folder)
    try:
        yield played
    finally:
        played.close()
