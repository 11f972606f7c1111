"""Which event loop and which reader of HTTP are used."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from types import SimpleNamespace

import pytest
import tornado

from plivostatusd.web.connection import StreamServer
from plivostatusd.web.connections import Bounds, Connections
from plivostatusd.web.exchange import ExchangeServer
from plivostatusd.web.transport import choice
from plivostatusd.web.transport.server import Server

ASIDE = {choice.VARIABLE: "tornado"}


def test_what_is_asked_for() -> None:
    """Both are used where they are installed, unless the environment says otherwise."""
    assert (True, True) == (choice.is_ours({}), choice.has_uvloop({}))
    assert (False, False) == (choice.is_ours(ASIDE), choice.has_uvloop(ASIDE))
    assert choice.is_ours({choice.VARIABLE: "anything"})


@pytest.mark.parametrize("missing", ["httptools", "uvloop"])
def test_what_is_not_installed(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """What is not installed is done without; the other is used all the same."""
    monkeypatch.setattr(
        choice, "find_spec", lambda name: None if name == missing else SimpleNamespace()
    )
    assert ("uvloop" == missing, "httptools" == missing) == (
        choice.is_ours({}),
        choice.has_uvloop({}),
    )


@pytest.mark.usefixtures("each_transport")
async def test_server() -> None:
    """The server is of the kind that is said."""
    connections = Connections(Bounds(), lambda _: None)
    server = choice.server_of(ExchangeServer(body_bytes_max=1), connections)
    parser = choice.means(asyncio.get_running_loop()).parser
    assert isinstance(server, Server if parser.startswith("httptools ") else StreamServer)
    await server.close()
    connections.close()


def named() -> choice.Means:
    """Name what is used on a loop that is made as the program makes it."""
    loop = choice.new_event_loop()
    try:
        return choice.means(loop)
    finally:
        loop.close()


def test_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs is named with its version, where it has one of its own."""
    monkeypatch.delenv(choice.VARIABLE, raising=False)
    assert f"uvloop {version('uvloop')}" == named().loop
    assert f"httptools {version('httptools')}" == named().parser
    monkeypatch.setenv(choice.VARIABLE, "tornado")
    assert ("asyncio", f"tornado {tornado.version}") == named()
