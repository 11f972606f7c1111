"""All connections of one listener: taken over when they are accepted, closed together."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

from plivostatusd.web.server import KERNEL_BYTES_MAX, READ_BYTES
from plivostatusd.web.transport.connection import NO_IP, Connection, Listener

if TYPE_CHECKING:
    from asyncio import Future

    from tornado.httputil import HTTPServerConnectionDelegate

    from plivostatusd.web.connections import Connections


class Server:
    """Serves *door* on connections that are given to it. Made and used on the event loop."""

    def __init__(self, door: HTTPServerConnectionDelegate, connections: Connections) -> None:
        self._loop = asyncio.get_running_loop()
        done: Future[None] = self._loop.create_future()
        done.set_result(None)
        buffer = memoryview(bytearray(READ_BYTES))
        self._listener = Listener(door, connections, self._gone, self._loop, buffer, done)
        self._all: dict[Connection, asyncio.Task[None] | None] = {}
        self._nobody = asyncio.Event()

    def take(self, sock: socket.socket, address: Any) -> None:
        """Serve an accepted connection from *address*, as accept(2) gave it."""
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES_MAX)
        remote_ip = NO_IP if sock.family == socket.AF_UNIX else address[0]
        connection = Connection(self._listener, sock, remote_ip)
        self._all[connection] = self._loop.create_task(self._attach(connection, sock))

    async def _attach(self, connection: Connection, sock: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: connection, sock)
        except OSError:  # gone before it was here
            sock.close()
            connection.connection_lost(None)
        if connection in self._all:
            self._all[connection] = None

    def _gone(self, connection: Connection) -> None:
        """Hear that a connection is closed."""
        self._all.pop(connection, None)
        if not self._all:
            self._nobody.set()

    async def close(self) -> None:
        """Close every connection; return when all are."""
        for connection in list(self._all):
            connection.cut()
        while self._all:
            self._nobody.clear()
            await self._nobody.wait()
