"""
Both listeners over a real store and real flows, in the test's own loop, on free ports.

What the daemon composes at its start, a test composes here in parts: the public listener is there
at once, sending begins with `start_sending`. Plivo is the simulator, over HTTP.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tornado.httputil import HTTPServerConnectionDelegate
from tornado.ioloop import IOLoop

from plivostatusd.config.address import Address
from plivostatusd.domain.secret import Secret
from plivostatusd.domain.signature import Key, Verifier
from plivostatusd.domain.statuses import Trust
from plivostatusd.flows.backup import Backup
from plivostatusd.flows.courtesy import Courtesy
from plivostatusd.flows.evidence import Evidence
from plivostatusd.flows.forgetting import Forgetting
from plivostatusd.flows.front_door import FrontDoor
from plivostatusd.flows.front_door import Terms as FrontDoorTerms
from plivostatusd.flows.importing import Importing
from plivostatusd.flows.ingest import Ingest
from plivostatusd.flows.outbox import Outbox, Terms
from plivostatusd.flows.rebuild import Rebuild
from plivostatusd.flows.reconcile import Reconcile
from plivostatusd.flows.reconcile import Terms as ReconcileTerms
from plivostatusd.flows.refusals import Refusals
from plivostatusd.flows.stats import Stats
from plivostatusd.host.clock import Clock
from plivostatusd.host.sockets import listen
from plivostatusd.plivo.api import ApiOptions, PlivoApi
from plivostatusd.simulator import Options, Signed, Simulator, signed_request
from plivostatusd.simulator.options import AUTH_ID, AUTH_TOKEN
from plivostatusd.simulator.signer import V2_HEADERS
from plivostatusd.store.handle import Handle
from plivostatusd.store.keep import Keep
from plivostatusd.store.reader import Reader
from plivostatusd.store.receipts import Arrival, Recorded
from plivostatusd.store.spool import Spool
from plivostatusd.store.writer import Writer
from plivostatusd.web.access import Rules
from plivostatusd.web.api import application
from plivostatusd.web.callbacks import CallbackServer
from plivostatusd.web.connections import Bounds
from plivostatusd.web.entrance import Entrance
from plivostatusd.web.failures import Failures
from plivostatusd.web.handler import Services
from plivostatusd.web.in_flight import InFlight
from plivostatusd.web.knows import Knows
from plivostatusd.web.metrics import Metrics
from tests.wire import Answer, ask

PUBLIC = "http://sms.example.com"
SENDER = "+14155551212"
HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
COMMIT_S = 1.0
BOUNDS = Bounds()


def now_us() -> int:
    """Tell the time."""
    return time.time_ns() // 1_000


class Listeners:
    """The two listeners and what is behind them. Made by `running`."""

    def __init__(self, folder: Path, writer: Writer, reader: Reader, *, minimum: Trust) -> None:
        self.folder = folder
        self.writer = writer
        self.reader = reader
        self.metrics = Metrics()
        self.spool = Spool(folder / "spool", reserve_bytes=65_536)
        self.keep = Keep(writer, self.spool, drained=self._drained)
        self.ingest = Ingest(
            self.keep.put,
            Verifier([Key.of("first", AUTH_TOKEN)], [PUBLIC], minimum=minimum),
            self.metrics,
            queue_max=100,
            now_us=now_us,
            refused=Refusals(writer, now_us=now_us).take,
        )
        self.front_door = FrontDoor(front_door_terms(self.ingest.verifier), self.metrics)
        self.callbacks = CallbackServer(
            self.ingest, body_bytes_max=16_384, front_door=self.front_door
        )
        self.simulator: Simulator
        self.services: Services
        self.public_port = 0
        self.api_port = 0
        self.api_socket = folder / "api.sock"
        self._numbers = itertools.count(1)

    def _drained(self, arrival: Arrival, recorded: Recorded) -> None:
        self.ingest.recorded(arrival, recorded)

    @property
    def store_path(self) -> Path:
        """Where the store lies."""
        return self.folder / "status.db"

    async def open(self, stack: AsyncExitStack) -> None:
        """Listen, with an outbox that does not call yet."""
        self.spool.open()
        stack.push_async_callback(self.keep.close)
        self.public_port = await serve(stack, self.callbacks, self.metrics)
        here = ("127.0.0.1", self.public_port)
        self.simulator = Simulator(Options(port=0, speed=20, seed=1, connect_to=here))
        api_url = await self.simulator.start()
        stack.push_async_callback(self.simulator.stop)
        options = ApiOptions(
            auth_id=AUTH_ID,
            auth_token=Secret(AUTH_TOKEN),
            api_url=api_url,
            proxy=None,
            ca_file=None,
            timeout_s=10.0,
            concurrency=4,
        )
        api = PlivoApi(options)
        outbox = Outbox(self.writer, api, terms(), self.metrics, now_us=now_us, steady_us=now_us)
        self.reconcile = Reconcile(self.writer, api, reconcile_terms(), self.metrics, clock=Clock())
        outbox._gate.open_up()
        stack.push_async_callback(self._close_outbox, outbox)
        self.services = self._services(outbox)
        door = application(self.services)
        self.api_port = await serve(stack, door, self.metrics, self.api_socket)
        stack.callback(self.services.stopping.set)

    def _services(self, outbox: Outbox) -> Services:
        stopping = asyncio.Event()
        courtesy = Courtesy(lambda: self.ingest.waiting, lambda: self.ingest.received)
        return Services(
            outbox=outbox,
            reconcile=self.reconcile,
            rebuild=Rebuild(self.store_path, self.writer, now_us=now_us),
            evidence=Evidence(
                self.reader, lambda: self.ingest.verifier, self.reconcile.look, now_us=now_us
            ),
            forgetting=Forgetting(self.store_path, self.writer, self.keep, now_us=now_us),
            importing=Importing(self.writer, 259_200.0, now_us=now_us),
            stats=Stats(self.store_path, condemn=self.writer.condemn),
            backup=Backup(self.store_path, self.writer),
            reader=self.reader,
            writer=self.writer,
            keep=self.keep,
            metrics=self.metrics,
            front_door=self.front_door,
            token_uses=self.ingest.token_uses,
            knows=Knows(
                config_path=self.folder / "plivostatusd.conf",
                public_urls=(PUBLIC,),
                listens=(f"127.0.0.1:{self.public_port}",),
                minimum_trust="url-only",
                keys=self.ingest.verifier.keys,
            ),
            rules=Rules(HOSTS, {}),
            default_sender=SENDER,
            wait_s=10.0,
            store_path=self.store_path,
            free_bytes_min=1,
            now_us=now_us,
            give_way=courtesy.give_way,
            turn=courtesy.turn,
            stopping=stopping,
            failures=Failures(self.metrics.registry, stopping, wait_s=0.01),
            in_flight=InFlight(),
        )

    async def _close_outbox(self, outbox: Outbox) -> None:
        await outbox.stop(within_s=5)
        await outbox.close()

    @property
    def outbox(self) -> Outbox:
        """The way out."""
        return self.services.outbox

    def nonces(self) -> tuple[str, str]:
        """Make nonces that no other request of this test bears, for V2 and V3."""
        return f"{next(self._numbers):020}", f"{next(self._numbers):020}"

    async def deliver(self, request: Signed) -> Answer:
        """Carry a signed callback to the public listener."""
        return await ask(
            self.public_port, request.method, request.target, request.body, request.headers
        )

    async def api(
        self,
        method: str,
        target: str,
        body: bytes | Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask the local API over TCP."""
        return await ask(self.api_port, method, target, body, headers)

    async def operator(
        self, method: str, target: str, body: bytes | Mapping[str, Any] | None = None
    ) -> Answer:
        """Ask the local API over its Unix socket, as the daemon's own user."""
        return await ask(self.api_socket, method, target, body)

    def rows(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        """Look into the store as a stranger would, over a connection of its own."""
        connection = sqlite3.connect(self.store_path)
        try:
            return connection.execute(sql, arguments).fetchall()
        finally:
            connection.close()

    @contextmanager
    def locked_store(self) -> Iterator[None]:
        """Hold the store's write lock, as another program might."""
        connection = sqlite3.connect(self.store_path, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.rollback()
            connection.close()


def front_door_terms(verifier: Verifier, public_url: str = PUBLIC) -> FrontDoorTerms:
    """Make terms of probing *public_url*."""
    return FrontDoorTerms(
        public_url=public_url, key=verifier.keys[0], verifier=verifier, upstream="127.0.0.1:8787"
    )


def reconcile_terms(**changed: Any) -> ReconcileTerms:
    """Make terms of reconciling under which no test waits."""
    usual = ReconcileTerms(
        after_s=600.0,
        silence_final_s=259_200.0,
        get_per_second=1_000.0,
        list_per_minute=60_000.0,
        unknown_after_s=86_400.0,
        refuses_unknown=False,
    )
    return replace(usual, **changed)


def terms(**changed: Any) -> Terms:
    """Make terms under which everything is sent at once."""
    usual = Terms(
        public_url=PUBLIC,
        per_second=1_000.0,
        concurrency=4,
        retry_for_s=3_600.0,
        queue_max=10_000,
        per_day=0,
        look_after_s=1.0,
    )
    return replace(usual, **changed)


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until *condition* holds, where there is nothing to await."""
    while not condition():  # noqa: ASYNC110 - that is the point; the test's own time-out ends it
        await asyncio.sleep(0)


async def serve(
    stack: AsyncExitStack,
    door: HTTPServerConnectionDelegate,
    metrics: Metrics,
    path: Path | None = None,
    bounds: Bounds = BOUNDS,
) -> int:
    """Listen on a free port, and on a Unix socket where *path* names one."""
    entrance = Entrance("api" if path else "callbacks", door, metrics, bounds=bounds)
    addresses = [Address(host="127.0.0.1", port=0)] + ([Address(path=path)] if path else [])
    sockets = [sock for each in addresses for sock in stack.enter_context(listen(each)).sockets]
    entrance.open(sockets)
    stack.push_async_callback(entrance.close)
    port: int = next(sock for sock in sockets if sock.family == socket.AF_INET).getsockname()[1]
    return port


@asynccontextmanager
async def listening(folder: Path, *, minimum: Trust = "url-only") -> AsyncIterator[Listeners]:
    """Run both listeners for the length of a block."""
    async with AsyncExitStack() as stack:
        path = folder / "status.db"
        writer = Writer(Handle(path), commit_timeout_s=COMMIT_S)
        await writer.open()
        stack.push_async_callback(writer.close)
        reader = Reader(path, condemn=writer.condemn)
        stack.push_async_callback(reader.close)
        listeners = Listeners(folder, writer, reader, minimum=minimum)
        await listeners.open(stack)
        yield listeners


@contextmanager
def running(io_loop: IOLoop, folder: Path, *, minimum: Trust = "url-only") -> Iterator[Listeners]:
    """Run both listeners around a coroutine test: for a fixture."""
    block = listening(folder, minimum=minimum)
    listeners = io_loop.run_sync(block.__aenter__)
    yield listeners
    io_loop.run_sync(lambda: block.__aexit__(None, None, None))


def callback(
    listeners: Listeners, status: str = "delivered", path: str = "/plivo/status", **options: Any
) -> Signed:
    """Sign a callback as Plivo does; *options* are those of `signed_request`, and fields."""
    fields: dict[str, str | Sequence[str]] = {
        "MessageUUID": "0d2e4c1a-0000-4000-8000-000000000001",
        "From": "14155551212",
        "To": "14155552323",
        "Status": status,
        "ErrorCode": "",
    }
    method = options.pop("method", "POST")
    token = options.pop("token", AUTH_TOKEN)
    fields |= options.pop("fields", {})
    nonces = options.pop("nonces", None) or listeners.nonces()
    return signed_request(method, PUBLIC + path, fields, token, nonces=nonces, **options)


def without_v3(request: Signed) -> Signed:
    """Take the V3 signature away, as whoever captured the request may."""
    kept = (*V2_HEADERS, "Content-Type")
    headers = {name: value for name, value in request.headers.items() if name in kept}
    return Signed(request.method, request.url, headers, request.body)
