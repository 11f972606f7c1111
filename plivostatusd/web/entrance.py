"""
The way into a listener: accepts connections, as many as there is room for, and hands them on.

Promises that nobody who connects can stop the others: at the bound it makes room at the cost of
whoever was awaited longest; when all are in work, new ones stay in the kernel's backlog until one
of them ends; when the system has no descriptor or memory left, it gives some back and waits a
moment. What keeps it from accepting is logged when it begins and when it is over.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from plivostatusd.log import get_logger
from plivostatusd.web.connections import Bounds, Connections
from plivostatusd.web.transport.choice import server_of

if TYPE_CHECKING:
    from tornado.httputil import HTTPServerConnectionDelegate

log = get_logger()

BURST: Final = 32
"""
Connections accepted in one turn of the loop, some 3 ms of work: others have their turn, too. As
long as more wait, twice as many each turn: under overload turns are long, and few, and whoever is
not let in cannot even be told to come again.
"""
SPARE: Final = 16
"""Descriptors given back when there are none left: calls to Plivo, SQLite and the spool need some,
and accepting would take every single one."""
LEAST: Final = 8
"""Connections that a listener may have however little there is."""

_OF_THE_CLIENT: Final = {
    # accept(2): errors of the connection that was waiting, not of the listening socket.
    *(errno.ECONNABORTED, errno.ENETDOWN, errno.EPROTO, errno.ENOPROTOOPT, errno.EHOSTDOWN),
    *(errno.ENONET, errno.EHOSTUNREACH, errno.EOPNOTSUPP, errno.ENETUNREACH, errno.EPERM),
    *(errno.ETIMEDOUT, errno.EINTR),
}
_HINTS: Final = {
    errno.EMFILE: "ls -l /proc/{pid}/fd; prlimit --nofile --pid {pid}",
    errno.ENFILE: "cat /proc/sys/fs/file-nr",
    errno.ENOMEM: "free -m",
    errno.ENOBUFS: "free -m; cat /proc/net/sockstat",
}
_HINT_OTHERWISE: Final = "ss -xtnp | grep pid={pid}"


class Gauges(Protocol):
    """What is counted of connections."""

    def count_connections(self, listener: str, count: Callable[[], int]) -> None:
        """Ask *count* whenever somebody wants to know how many there are."""

    def connection_cut(self, listener: str, reason: str) -> None:
        """Count one that was cut."""


class Entrance:
    """Accepts for the listener *name*, in front of *door*. Made and used on the event loop."""

    def __init__(
        self, name: str, door: HTTPServerConnectionDelegate, gauges: Gauges, *, bounds: Bounds
    ) -> None:
        self._name = name
        self._bounds = bounds
        self._connections = Connections(bounds, partial(gauges.connection_cut, name))
        gauges.count_connections(name, self._connections.__len__)
        self._server = server_of(door, self._connections)
        self._loop = asyncio.get_running_loop()
        self._sockets: list[socket.socket] = []
        self._is_stopped = False
        self._burst = BURST
        self._has_given_back = False
        self._pause: asyncio.TimerHandle | None = None
        self._calm: asyncio.TimerHandle | None = None

    def open(self, sockets: Iterable[socket.socket]) -> None:
        """Begin to accept on *sockets*, too: they listen, and do not block."""
        for sock in sockets:
            self._sockets.append(sock)
            self._loop.add_reader(sock, self._accept, sock)

    def stop(self) -> None:
        """Accept no more, and close the sockets; connections go on."""
        if self._is_stopped:
            return
        self._look_away()
        self._is_stopped = True
        for timer in (self._pause, self._calm):
            if timer is not None:
                timer.cancel()
        for sock in self._sockets:
            sock.close()

    async def heads_read(self, *, within_s: float) -> None:
        """Return once everybody who is connected has said what it wants, or is at rest."""
        await self._connections.heads_read(within_s=within_s)

    async def close(self) -> None:
        """Close what is still connected."""
        self.stop()
        await self._server.close()
        self._connections.close()

    # Accepting

    def _accept(self, listening: socket.socket) -> None:
        # A part of the places at most: one that comes must not be the longest awaited in that turn.
        most = min(self._burst, max(1, self._connections.most // 8))
        for _ in range(most):
            if self._connections.is_full:
                self._wait_for_room()
                return
            try:
                sock, address = listening.accept()
            except BlockingIOError:
                self._burst = BURST
                return
            except OSError as error:
                if error.errno not in _OF_THE_CLIENT:
                    self._wait_for_means(error)
                    return
            else:
                self._has_given_back = False
                self._server.take(sock, address)
        self._burst = 2 * most

    def _wait_for_room(self) -> None:
        """Every connection is in work, or to be read: those that come wait in the kernel."""
        self._look_away()
        self._connections.room_made = self._look
        may_grow = self._connections.most < self._bounds.connections_max
        if may_grow:
            # There were no means for more a while ago; whether there are now, trying shows.
            self._connections.most += 1
        if may_grow or self._connections.has_awaited:
            self._pause = self._loop.call_later(self._bounds.pause_s, self._look)
        self._trouble(f"all {len(self._connections)} connections are in work", _HINT_OTHERWISE)

    def _wait_for_means(self, error: OSError) -> None:
        """
        The system lacks something: give some of it back, and try again in a moment.

        When that does not help, no more is given back: others take it, and the connections that
        are left are the only way in.
        """
        self._look_away()
        if not self._has_given_back and self._connections.give_back(SPARE):
            self._has_given_back = True
            self._connections.most = max(LEAST, len(self._connections))
        self._pause = self._loop.call_later(self._bounds.pause_s, self._look)
        hint = _HINTS.get(error.errno or 0, _HINT_OTHERWISE)
        self._trouble(error.strerror or str(error), hint)

    def _look(self) -> None:
        self._connections.room_made = None
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        if self._is_stopped:
            return
        try:
            for sock in self._sockets:
                self._loop.add_reader(sock, self._accept, sock)
        except OSError as error:  # epoll_ctl(2) needs kernel memory, too
            self._wait_for_means(error)

    def _look_away(self) -> None:
        self._connections.room_made = None
        for sock in self._sockets:
            self._loop.remove_reader(sock)

    # What is said of it

    def _trouble(self, reason: str, hint: str) -> None:
        if self._calm is None:
            hint = hint.format(pid=os.getpid())
            log.error("accepting_paused", listener=self._name, reason=reason, hint=hint)
        else:
            self._calm.cancel()
        self._calm = self._loop.call_later(self._bounds.calm_s, self._calmed)

    def _calmed(self) -> None:
        if self._connections.room_made is not None:  # it goes on
            self._calm = self._loop.call_later(self._bounds.calm_s, self._calmed)
            return
        self._calm = None
        self._connections.most = self._bounds.connections_max
        log.info("accepting_resumed", listener=self._name)
