"""
The whole daemon, as a child process, for one test.

Owns a folder with its configuration, secrets and store, the child, and every line it logs. Ends by
SIGTERM unless a test ended it otherwise; then its exit status must be 0, its standard error empty,
and no line of WARNING or above may be there that the test did not announce with `allow`.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from plivostatusd.simulator import Options, Signed, Simulator, signed_request
from plivostatusd.simulator.options import AUTH_ID, AUTH_TOKEN
from tests.wire import Answer, ask

ROOT = Path(__file__).parents[2]
SENDER = "+14155551212"
API_TOKEN = "acceptance-token-4711"
STOP_S_MAX = 20.0
Line = dict[str, Any]
Settings = dict[str, dict[str, str]]


class Daemon:
    """One daemon over one store; it may be started and ended again and again."""

    def __init__(self, folder: Path, api_url: str, **changed: Mapping[str, str]) -> None:
        self.folder = folder
        self.lines: list[Line] = []
        self.stderr = ""
        self.program = ["-m", "plivostatusd"]
        self.public_port = 0
        self.api_port = 0
        self.settings = self._settings(api_url)
        for section, keys in changed.items():
            self.settings.setdefault(section, {}).update(keys)
        self.wrapper: list[str] = []
        self._allowed: list[str] = []
        self._process: asyncio.subprocess.Process | None = None
        self._readers: list[asyncio.Task[None]] = []
        self._mark = 0
        self._news = asyncio.Event()
        # Bound and never listened on: nobody else is given this port, and the daemon may take it.
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind(("127.0.0.1", 0))
        self.public_port = self._reserved.getsockname()[1]

    def _settings(self, api_url: str) -> Settings:
        return {
            "plivo": {
                "auth_id": AUTH_ID,
                "auth_token_file": self._secret("auth_token", AUTH_TOKEN),
                "api_url": api_url,
            },
            "callbacks": {},
            "api": {
                "listen": f"127.0.0.1:0, unix:{self.api_socket}",
                "token_file": self._secret("api_tokens", f"tests {API_TOKEN}"),
            },
            "store": {"path": str(self.folder / "status.db")},
            "send": {"from": SENDER, "per_second": "500"},
        }

    def _secret(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(f"{text}\n")
        path.chmod(0o600)
        return str(path)

    @property
    def config(self) -> Path:
        """Where the configuration lies."""
        return self.folder / "plivostatusd.conf"

    @property
    def store_path(self) -> Path:
        """Where the store lies."""
        return Path(self.settings["store"]["path"])

    @property
    def api_socket(self) -> Path:
        """The local API's Unix socket."""
        return self.folder / "api.sock"

    @property
    def public_url(self) -> str:
        """What Plivo is told to call."""
        configured = self.settings["callbacks"].get("public_url")
        return configured or f"http://127.0.0.1:{self.public_port}"

    @property
    def pid(self) -> int:
        """The child's process id."""
        assert self._process is not None
        return self._process.pid

    def write_config(self) -> None:
        """Write the configuration as `settings` has it."""
        here = {"public_url": self.public_url, "listen": f"127.0.0.1:{self.public_port}"}
        whole = {**self.settings, "callbacks": {**here, **self.settings["callbacks"]}}
        sections = [
            "\n".join([f"[{name}]", *(f"{key} = {value}" for key, value in keys.items()), ""])
            for name, keys in whole.items()
        ]
        self.config.write_text("\n".join(sections))

    # Its life

    async def start(self, *more: str, package: Path = ROOT) -> None:
        """Start it, and return once it says `started`."""
        await self.launch(*more, package=package)
        await self.line("started")

    async def launch(self, *more: str, package: Path = ROOT) -> None:
        """Start it, and return at once."""
        self.write_config()
        command = [*self.wrapper, sys.executable, "-W", "error", *self.program]
        command += ["-c", str(self.config)]
        self._process = await asyncio.create_subprocess_exec(
            *command,
            *more,
            cwd=package,
            env={**os.environ, "PYTHONPATH": str(package)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        self._mark = len(self.lines)
        self._readers = [
            asyncio.ensure_future(self._read_log()),
            asyncio.ensure_future(self._read_errors()),
        ]

    async def _read_log(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for raw in self._process.stdout:
            line = parsed(raw)
            if line.get("event") == "listening" and line["address"].startswith("127.0.0.1:"):
                port = int(line["address"].rpartition(":")[2])
                if line["listener"] == "api":
                    self.api_port = port
            self.lines.append(line)
            self._news.set()
        self._news.set()

    async def _read_errors(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        self.stderr += (await self._process.stderr.read()).decode()

    async def line(self, event: str, **fields: Any) -> Line:
        """Wait for a line of this run's log; one that came already will do."""
        while True:
            for line in self.lines[self._mark :]:
                if line["event"] == event and fields.items() <= line.items():
                    return line
            assert not self._readers[0].done(), f"it ended without {event}\n{self.log}{self.stderr}"
            await self.news()

    async def said(self, word: str) -> None:
        """Wait for a line for people that has *word* in it."""
        while not any(word in line["event"] for line in self.lines[self._mark :]):
            assert not self._readers[0].done(), f"it ended without {word}\n{self.log}{self.stderr}"
            await self.news()

    async def news(self) -> None:
        """Wait for more lines."""
        self._news.clear()
        await self._news.wait()

    def forget_lines(self) -> None:
        """Let `line` wait for what is still to come."""
        self._mark = len(self.lines)

    @property
    def log(self) -> str:
        """Everything that was logged."""
        return "".join(f"{json.dumps(line)}\n" for line in self.lines)

    def signal(self, number: int) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Wait until it has ended, and give its exit status."""
        assert self._process is not None
        async with asyncio.timeout(STOP_S_MAX):
            status = await self._process.wait()
            await asyncio.gather(*self._readers)
        self._process = None
        return status

    async def stop(self) -> None:
        """End it in good order."""
        self.signal(signal.SIGTERM)
        assert await self.ended() == 0, self.log + self.stderr

    async def kill(self) -> None:
        """End it as a power cut does."""
        self.signal(signal.SIGKILL)
        assert await self.ended() == -signal.SIGKILL

    async def close(self) -> None:
        """End what is still there; no more is asked of it."""
        if self._process is not None:
            self.signal(signal.SIGKILL)
            await self.ended()
        self._reserved.close()

    def allow(self, *patterns: str) -> None:
        """Announce lines of WARNING and above."""
        self._allowed += patterns

    def unexpected(self) -> list[Line]:
        """Give the lines of WARNING and above that nobody announced."""
        return [
            line
            for line in self.lines
            if line["level"] not in {"debug", "info"}
            and not any(re.search(pattern, json.dumps(line)) for pattern in self._allowed)
        ]

    # What is asked of it

    async def api(
        self,
        method: str,
        target: str,
        body: bytes | Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask the local API over TCP, with a token."""
        bearer = {"Authorization": f"Bearer {API_TOKEN}"}
        return await ask(self.api_port, method, target, body, {**bearer, **(headers or {})})

    async def operator(
        self, method: str, target: str, body: bytes | Mapping[str, Any] | None = None
    ) -> Answer:
        """Ask the local API over its Unix socket, as the daemon's own user."""
        nothing = b"" if method == "POST" else None
        return await ask(self.api_socket, method, target, nothing if body is None else body)

    async def send(self, to: str, *, wait: str = "10s", text: str = "hello") -> Answer:
        """Send one message."""
        return await self.api("POST", f"/send?wait={wait}", {"to": to, "text": text})

    async def message(self, name: str) -> dict[str, Any]:
        """Ask about one message."""
        reply = await self.api("GET", f"/messages/{name}")
        assert reply.status == 200
        return dict(reply.json)

    async def deliver(self, request: Signed) -> Answer:
        """Carry a callback to the public listener."""
        return await ask(
            self.public_port, request.method, request.target, request.body, request.headers
        )

    def callback(self, status: str, uuid: str, path: str = "/plivo/status") -> Signed:
        """Sign a callback as Plivo does."""
        fields = {"MessageUUID": uuid, "Status": status, "To": "14155552323", "ErrorCode": ""}
        url = self.public_url + path
        return signed_request("POST", url, fields, AUTH_TOKEN, main_token=AUTH_TOKEN)

    async def events(self, after: str = "") -> AsyncIterator[dict[str, Any]]:
        """Give every event as it comes, for ever."""
        while True:
            page = (await self.api("GET", f"/events?limit=1000&wait=20s{after}")).json
            after = f"&after={page['next']}"
            for event in page["events"]:
                yield event

    async def until(self, reached: Callable[[dict[str, str]], bool]) -> dict[str, str]:
        """Follow the events until the statuses, by message, are as *reached* wants them."""
        statuses: dict[str, str] = {}
        async for event in self.events():
            statuses[event["message_id"]] = event["status"]
            if reached(statuses):
                break
        return statuses

    def rows(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        """Look into the store, whether the daemon runs or not."""
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


def parsed(raw: bytes) -> Line:
    """Read a line of the log; one for people, as --dev writes them, has its text as its event."""
    try:
        line: Line = json.loads(raw)
    except ValueError:
        return {"event": raw.decode(), "level": "info"}
    return line


@asynccontextmanager
async def running(
    folder: Path,
    *,
    speed: float = 20.0,
    api_url: str = "",
    program: Sequence[str] = (),
    wrapper: Sequence[str] = (),
    **changed: Mapping[str, str],
) -> AsyncIterator[tuple[Daemon, Simulator]]:
    """Run a daemon before the simulator, and see both end as they should."""
    simulator = Simulator(Options(port=0, speed=speed))
    url = await simulator.start()
    daemon = Daemon(folder, api_url or url, **changed)
    daemon.program = list(program) or daemon.program
    daemon.wrapper = list(wrapper)
    try:
        await daemon.start()
        yield daemon, simulator
        await simulator.stop()
        if daemon._process is not None:
            await daemon.stop()
        assert "" == daemon.stderr
        assert [] == daemon.unexpected()
    finally:
        await simulator.stop()
        await daemon.close()
