"""
What the tests of plivostatusd.plivo over real sockets share: servers, and doors that go to them.

A test file takes the fixtures it wants by assigning them to names of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import tornado.ioloop

from plivostatusd.domain.secret import Secret
from plivostatusd.plivo.api import ApiOptions, PlivoApi
from tests.unit.test_plivo_server import TAKEN, Act, Greet, ScriptedServer, plain, reply

AUTH_ID = "MA" + "X" * 18
TOKEN = "token-of-the-account"

MakeServer = Callable[..., ScriptedServer]
MakeApi = Callable[..., PlivoApi]


@pytest.fixture
def make_server() -> Iterator[MakeServer]:
    """Start servers that end with the test."""
    servers: list[ScriptedServer] = []

    def make(*acts: Act, greet: Greet = plain) -> ScriptedServer:
        servers.append(ScriptedServer(*(acts or [reply(202, TAKEN)]), greet=greet))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def make_api(io_loop: tornado.ioloop.IOLoop) -> Iterator[MakeApi]:
    """Open doors to Plivo, and check that closing them leaves no thread behind."""
    apis: list[PlivoApi] = []

    def make(where: ScriptedServer | str, **more: Any) -> PlivoApi:
        clock = {"now_s": more.pop("now_s")} if "now_s" in more else {}
        url = where if isinstance(where, str) else where.url()
        options: dict[str, Any] = {
            "auth_id": AUTH_ID,
            "auth_token": Secret(TOKEN),
            "api_url": url,
            "timeout_s": 5.0,
            "concurrency": 2,
        }
        apis.append(PlivoApi(ApiOptions(**options | more), **clock))
        return apis[-1]

    yield make
    for api in apis:
        io_loop.run_sync(api.close)
    assert threads() == []


@pytest.fixture(scope="session", autouse=True)
def sdk_loaded() -> None:
    """Load the SDK, so that short time-outs measure the network alone."""
    import plivostatusd.plivo.client  # noqa: F401 - loaded for its effect


def threads() -> list[threading.Thread]:
    """The worker threads there are."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("plivo-api")]
