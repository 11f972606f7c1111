"""
What a server makes of the bytes of one connection, over a real socket.

Either transport, as the daemon has it, with a door that answers at once and keeps what it was
given. It is waited for until the server has ended the connection: because it refused something,
because the client said so, or because it lost patience with a client that has nothing more to say.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Final, NamedTuple

from tornado.httputil import HTTPServerConnectionDelegate

from plivostatusd.web.connection import StreamServer
from plivostatusd.web.connections import Bounds, Connections
from plivostatusd.web.transport.choice import Server
from plivostatusd.web.transport.server import Server as OurServer
from tests.fuzz.readers import Door, Taken

SERVERS: Final[Mapping[str, Callable[[HTTPServerConnectionDelegate, Connections], Server]]] = {
    "ours": OurServer,
    "tornado": StreamServer,
}
_PATIENCE_S: Final = 1.5
"""Long enough for what was sent to be read first, on a busy machine; short, as it is waited for."""
_STATUS: Final = re.compile(rb"^HTTP/1\.1 (\d{3}) ", re.MULTILINE)


class Played(NamedTuple):
    """
    What became of a connection.

    *end* is the status that refused something, `closed` where nothing was refused, or what the
    client was waited for in vain: `head`, `body` or `idle`, the next request.
    """

    taken: list[Taken]
    end: str
    answers: int
    """How many there were, the refusal not counted."""


async def play(
    name: str,
    data: bytes,
    patience_s: float = _PATIENCE_S,
    listening: socket.socket | None = None,
) -> Played:
    """
    Send *data* to the server of that *name* in one go, and wait for the connection's end.

    *listening* is for those who play thousands: to find a free port takes longer than all else.
    """
    door = Door()
    why: list[str] = []
    bounds = Bounds(head_s_max=patience_s, body_s_max=patience_s, idle_s_max=patience_s)
    connections = Connections(bounds, why.append)
    server = SERVERS[name](door, connections)
    client, served, address = _connected(listening)
    with closing(client):
        # Before anybody looks at it, so that all of it is there when somebody does.
        client.setblocking(False)
        sending = asyncio.ensure_future(asyncio.get_running_loop().sock_sendall(client, data))
        await asyncio.sleep(0)
        server.take(served, address)
        said = await rest(client)
        sending.cancel()
    await server.close()
    connections.close()
    statuses = [status for status in _STATUS.findall(said) if status != b"100"]
    refusals = [status.decode() for status in statuses if status != b"200"]
    end = (refusals or why or ["closed"])[0]
    return Played(door.taken, end, len(statuses) - len(refusals))


def _connected(listening: socket.socket | None) -> tuple[socket.socket, socket.socket, object]:
    if listening is None:
        with socket.create_server(("127.0.0.1", 0)) as own:
            return _connected(own)
    client = socket.create_connection(listening.getsockname())
    return client, *listening.accept()


async def rest(client: socket.socket) -> bytes:
    """Read until the other end closes, or resets."""
    loop = asyncio.get_running_loop()
    said = b""
    try:
        while part := await loop.sock_recv(client, 65_536):
            said += part
    except ConnectionError:
        pass
    return said
