"""
Which event loop runs, and what reads HTTP: the fastest that is installed.

`PLIVOSTATUSD_TRANSPORT=tornado` has Tornado's own HTTP server on asyncio's own loop instead, as has
an installation without uvloop and httptools. It is no setting: nobody should have to choose, and
both are held to the same tests.
"""

from __future__ import annotations

import asyncio
import os
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import tornado

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping
    from types import ModuleType

    from tornado.httputil import HTTPServerConnectionDelegate

    from plivostatusd.web.connections import Connections

VARIABLE: Final = "PLIVOSTATUSD_TRANSPORT"


class Server(Protocol):
    """What serves the connections that an entrance has accepted."""

    def take(self, sock: socket.socket, address: object) -> None:
        """Serve an accepted connection."""

    async def close(self) -> None:
        """Close every connection; return when all are."""


class Means(NamedTuple):
    """What is used, by name and version."""

    loop: str
    parser: str


def is_ours(environ: Mapping[str, str] = os.environ) -> bool:
    """Say whether HTTP is read by llhttp, and not by Tornado."""
    return _may_use("httptools", environ)


def has_uvloop(environ: Mapping[str, str] = os.environ) -> bool:
    """Say whether uvloop's event loop is to run."""
    return _may_use("uvloop", environ)


def _may_use(package: str, environ: Mapping[str, str]) -> bool:
    return environ.get(VARIABLE) != "tornado" and find_spec(package) is not None


def means(loop: asyncio.AbstractEventLoop) -> Means:
    """Name what is used on *loop*."""
    parser = import_module("httptools") if is_ours() else tornado
    return Means(_named(sys.modules[type(loop).__module__.partition(".")[0]]), _named(parser))


def _named(package: ModuleType) -> str:
    version = getattr(package, "__version__", None) or getattr(package, "version", "")
    return f"{package.__name__} {version}".rstrip()


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Make the loop that the program runs on."""
    if has_uvloop():
        import uvloop

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


def server_of(door: HTTPServerConnectionDelegate, connections: Connections) -> Server:
    """Make what serves *door*. Called on the running loop."""
    if is_ours():
        from plivostatusd.web.transport.server import Server as OurServer

        return OurServer(door, connections)
    from plivostatusd.web.connection import StreamServer

    return StreamServer(door, connections)
