"""Who is at the other end of a Unix socket, on the kernel's word (SO_PEERCRED, unix(7))."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

_UCRED = struct.Struct("iII")


class Peer(NamedTuple):
    """The process that connected, as it was when it did."""

    pid: int
    uid: int
    gid: int


def peer_of(connection: socket.socket) -> Peer:
    """
    Return who connected to us over *connection*.

    Raises:
        ValueError: *connection* is no Unix socket, so nobody vouches for its other end.
        OSError: it is closed.
    """
    if connection.family != socket.AF_UNIX:
        raise ValueError("only a Unix socket knows its peer")
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return Peer(*_UCRED.unpack(raw))
