"""
What the simulator's tests call back to: a receiver that hears callbacks and asks Plivo's SDK.

Owns a real server on a free port of loopback. `playing` runs it beside a simulator.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from plivo.utils import validate_signature
from plivo.utils.signature_v3 import validate_v3_signature
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from plivostatusd.simulator import Options, Simulator
from plivostatusd.simulator.options import AUTH_ID, AUTH_TOKEN

SPEED = 1_000.0
SENDER = "+14155551212"
TEXT = "the quick brown text"


@dataclass
class Arrived:
    """A callback as it came in."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes

    @property
    def fields(self) -> dict[str, str]:
        """Its form or its query."""
        text = self.body.decode() if self.method == "POST" else urlsplit(self.url).query
        return {name: values[0] for name, values in parse_qs(text, keep_blank_values=True).items()}

    @property
    def status(self) -> str:
        """What it says."""
        return self.fields["Status"]

    def verifies(self, token: str = AUTH_TOKEN, main: str = "") -> bool:
        """Ask the SDK's own checks about V2 or V3 (`Ma-` when *main*), whatever is there."""
        prefix = f"X-Plivo-Signature-{main}"
        found = []
        if f"{prefix}V2" in self.headers:
            nonce = self.headers["X-Plivo-Signature-V2-Nonce"]
            found.append(validate_signature(self.url, nonce, self.headers[f"{prefix}V2"], token))
        if f"{prefix}V3" in self.headers:
            nonce, signature = self.headers["X-Plivo-Signature-V3-Nonce"], f"{prefix}V3"
            form = parse_qs(self.body.decode(), keep_blank_values=True)
            found.append(
                validate_v3_signature(
                    self.method, self.url, nonce, token, self.headers[signature], form
                )
            )
        return bool(found) and all(found)


@dataclass
class Receiver:
    """Hears callbacks; `answer` decides the status code, and may wait before it does."""

    url: str = ""
    arrived: list[Arrived] = field(default_factory=list)
    answer: Callable[[Arrived], int] = lambda _: 200
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    first: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def statuses(self) -> list[str]:
        """Name the statuses in the order of arrival."""
        return [each.status for each in self.arrived]


class Hear(RequestHandler):
    """Writes a callback down and answers as told."""

    async def post(self) -> None:
        """Hear a form."""
        receiver: Receiver = self.settings["receiver"]
        names = [name for name in self.request.headers if name.startswith("X-Plivo")]
        receiver.arrived.append(
            Arrived(
                self.request.method or "",
                f"{receiver.url.partition('/plivo')[0]}{self.request.uri}",
                {name: self.request.headers[name] for name in names},
                self.request.body,
            )
        )
        receiver.first.set()
        await receiver.gate.wait()
        self.set_status(receiver.answer(receiver.arrived[-1]))
        self.set_header("Location", "/elsewhere")

    get = post


def hearing(receiver: Receiver) -> Application:
    """Serve *receiver*, without a log of the refusals that tests ask for."""
    return Application([(r"/plivo/.*", Hear)], receiver=receiver, log_function=lambda _: None)


class Lines:
    """What a simulator says; `heard` waits for a line."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._news = asyncio.Event()

    def __call__(self, line: str) -> None:
        """Hear a line."""
        self.lines.append(line)
        self._news.set()

    async def heard(self, pattern: str) -> None:
        """Return once a line has matched *pattern*."""
        while not any(re.search(pattern, line) for line in self.lines):
            self._news.clear()
            await self._news.wait()


@asynccontextmanager
async def playing(
    options: Options | None = None, say: Callable[[str], None] = lambda _: None
) -> AsyncIterator[tuple[Simulator, Receiver]]:
    """Run a simulator and a receiver; both are gone afterwards."""
    receiver = Receiver()
    receiver.gate.set()
    server = HTTPServer(hearing(receiver))
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    receiver.url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/plivo/ref/status"
    simulator = Simulator(options or Options(port=0, speed=SPEED), say=say)
    await simulator.start()
    try:
        yield simulator, receiver
    finally:
        await simulator.stop()
        server.stop()
        await server.close_all_connections()


async def send(simulator: Simulator, dst: str, url: str, **more: str) -> HTTPResponse:
    """Send as a client of Plivo's API would."""
    client = AsyncHTTPClient(force_instance=True)
    try:
        return await client.fetch(
            f"{simulator.url}/v1/Account/{AUTH_ID}/Message/",
            method="POST",
            headers={"Content-Type": "application/json"},
            auth_username=AUTH_ID,
            auth_password=AUTH_TOKEN,
            body=json.dumps({"src": SENDER, "dst": dst, "text": TEXT, "url": url, **more}),
            raise_error=False,
        )
    finally:
        client.close()


def number(digits: str) -> str:
    """Make a recipient whose story is *digits*."""
    return f"+1415555{digits}"
