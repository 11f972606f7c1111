"""
Listening sockets that outlive the process: systemd keeps them open from one to the next.

Owns which socket is whose. What this program has bound is kept in systemd's descriptor store, with
a note beside it that names each by its inode; any other socket that comes is from a socket unit of
the admin's, is used as it is, and stays that unit's. Connections that come while nobody runs wait
in the sockets (sd_pid_notify_with_fds(3); FileDescriptorStoreMax= in systemd.service(5)).
"""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from plivostatusd.host.service_manager import Passed, ServiceManager
from plivostatusd.host.sockets import BACKLOG, ListenAddress, Listener, listen

NOTE: Final = "made-here"
_NOTE_BYTES_MAX: Final = 64 * 1024


class _Mark(NamedTuple):
    """What the note says of a socket: whose, for which address, and which inodes it has."""

    name: str
    address: str
    inode: int
    file: tuple[int, ...] | None  # device and inode of a Unix socket's file


class KeptSockets:
    """
    The sockets that *manager* has handed over, and those that it is to keep.

    *wanted* are the addresses to listen on, by name; what was kept for others is closed at once, so
    that it is in nobody's way. `strangers` names what came and can be no listener of ours.
    """

    def __init__(
        self, manager: ServiceManager, wanted: Mapping[str, Sequence[ListenAddress]]
    ) -> None:
        self._manager = manager
        self.strangers: list[str] = []
        self._ours: dict[_Mark, socket.socket] = {}
        self._given: dict[str, list[socket.socket]] = {name: [] for name in wanted}
        self._in_use: list[tuple[_Mark, socket.socket]] = []
        passed = manager.take()
        marks = _marks([each for each in passed if each.name == NOTE])
        for each in passed:
            if each.name != NOTE:
                self._sort(each, marks)
        self._let_go(wanted)

    def _sort(self, each: Passed, marks: dict[int, _Mark]) -> None:
        mark = marks.get(os.fstat(each.descriptor).st_ino)
        sock = _listening(each.descriptor)
        if sock is not None and mark is not None:
            self._ours[mark] = sock
        elif sock is not None and each.name in self._given:
            sock.listen(BACKLOG)
            self._given[each.name].append(sock)
        else:
            self.strangers.append(each.name)
            self._manager.drop(each.name)
            if sock is not None:
                sock.close()

    def _let_go(self, wanted: Mapping[str, Sequence[ListenAddress]]) -> None:
        """
        Close what is not wanted, here and there.

        A name stands for all that is kept under it, so the others of that name are stored again.
        """
        stays = {
            (name, str(address), _file_of(address))
            for name, addresses in wanted.items()
            if not self._given[name]
            for address in addresses
        }
        superfluous = [
            mark for mark in self._ours if (mark.name, mark.address, mark.file) not in stays
        ]
        for mark in superfluous:
            self._ours.pop(mark).close()
        names = {mark.name for mark in superfluous}
        for name in sorted(names):
            self._manager.drop(name)
        for mark, sock in self._ours.items():
            if mark.name in names:
                self._manager.store(mark.name, [sock.fileno()])
        if names:
            self._manager.done()  # until then the address is in use

    def given(self, name: str) -> tuple[socket.socket, ...]:
        """Give the sockets that a socket unit has opened for *name*."""
        return tuple(self._given[name])

    def listen(self, name: str, address: ListenAddress) -> Listener:
        """
        Listen on *address* for *name*, with the sockets that were kept for it, if they were.

        Raises:
            ListenerTaken: it cannot be had.
        """
        kept = [mark for mark in self._ours if (mark.name, mark.address) == (name, str(address))]
        if kept:
            listener = Listener(address, tuple(self._ours.pop(mark) for mark in kept))
        else:
            listener = listen(address)
        if self._manager.is_there:
            # Its file stays: the next process listens on the same one.
            listener = Listener(address, listener.sockets)
            self._in_use += [(_mark(name, address, each), each) for each in listener.sockets]
        return listener

    def keep(self) -> None:
        """Have systemd keep what is in use now; what it keeps already it knows."""
        note = _note([mark for mark, _ in self._in_use])
        try:
            self._manager.drop(NOTE)
            self._manager.store(NOTE, [note])
        finally:
            os.close(note)
        for mark, sock in self._in_use:
            self._manager.store(mark.name, [sock.fileno()])


def _listening(descriptor: int) -> socket.socket | None:
    """Make a socket of *descriptor*, if it is one that listens; else close it."""
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError:
        os.close(descriptor)
        return None
    sock.setblocking(False)
    if sock.type == socket.SOCK_STREAM and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return sock
    sock.close()
    return None


def _mark(name: str, address: ListenAddress, sock: socket.socket) -> _Mark:
    inode = os.fstat(sock.fileno()).st_ino
    return _Mark(name, str(address), inode, _file_of(address))


def _file_of(address: ListenAddress) -> tuple[int, ...] | None:
    """Say which file leads to a Unix socket now; somebody may have deleted or replaced it."""
    if address.path is None:
        return None
    with suppress(OSError):
        found = address.path.lstat()
        if stat.S_ISSOCK(found.st_mode):
            return found.st_dev, found.st_ino
    return ()


def _note(marks: Iterable[_Mark]) -> int:
    """Write *marks* down where a descriptor is all that there is of a file."""
    descriptor = os.memfd_create(NOTE)
    os.write(descriptor, json.dumps(list(marks)).encode())
    return descriptor


def _marks(notes: Iterable[Passed]) -> dict[int, _Mark]:
    """Read the notes that were handed over, by socket; what cannot be read says nothing."""
    marks: dict[int, _Mark] = {}
    for each in notes:
        with suppress(OSError, ValueError, TypeError):
            for fields in json.loads(os.pread(each.descriptor, _NOTE_BYTES_MAX, 0)):
                name, address, inode, file = fields
                marks[inode] = _Mark(name, address, inode, None if file is None else tuple(file))
        os.close(each.descriptor)
    return marks
