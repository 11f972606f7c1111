"""
A daemon that keeps its promises in memory, on a real socket, and its own tests.

It answers as the local API's contract says and knows nothing of the real daemon's code; the other
tests of plivostatusd.ctl ask it. `script` holds acts that come before good behaviour, one a
request: lose the answer after the work was done, cut the connection before it, answer so or so.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import io
import json
import socket
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from plivostatusd.ctl.__main__ import main

CREATED = "2026-11-23T09:00:02.123456Z"
PENDING_FOR_EVER_S = 20.0
Act = Callable[["Asked"], "Answer | None"]


@dataclass
class Answer:
    """What goes back: JSON unless `raw` says otherwise; `is_lost` cuts the connection instead."""

    status: int = 200
    document: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    is_lost: bool = False


@dataclass
class Asked:
    """One request, as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


def problem(status: int, detail: str, **more: Any) -> Answer:
    """Make a problem document."""
    document = {"type": "urn:x", "title": "Refused", "status": status, "detail": detail, **more}
    return Answer(status, document, {"Content-Type": "application/problem+json"})


def always(answer: Answer) -> Act:
    """Answer so, whatever was asked."""
    return lambda _asked: answer


class Daemon:
    """The daemon: its state outlives its server, which `stop` and `start` replace."""

    def __init__(self, place: str | Path, *, token: str = "") -> None:
        self.place = place
        self.token = token
        self.asked: list[Asked] = []
        self.script: list[Act] = []
        self.messages: dict[str, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.keys: dict[str, tuple[str, Answer]] = {}
        self.stats: dict[str, Any] = {}
        self.held = False
        self.stopping = False
        self.changed = threading.Condition()
        self._server: socketserver.BaseServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def options(self) -> list[str]:
        """What plivostatusctl takes to come here."""
        if isinstance(self.place, Path):
            return ["--socket", str(self.place)]
        return ["--url", f"http://{self.place}"]

    def start(self) -> Daemon:
        """Listen, at the same place as before."""
        self.stopping = False
        if isinstance(self.place, Path):
            self.place.unlink(missing_ok=True)
            self._server = _UnixServer(str(self.place), self._handler)
        else:
            host, _, port = self.place.rpartition(":")
            server = _TcpServer((host, int(port)), self._handler)
            self.place = f"{host}:{server.server_address[1]}"
            self._server = server
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def _handler(self, *words: Any) -> BaseHTTPRequestHandler:
        return _Handler(self, *words)

    def stop(self) -> None:
        """Close the listener, once every request has had its answer."""
        if self._server is None or self._thread is None:
            return
        with self.changed:
            self.stopping = True
            self.changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._server = None

    def add_message(self, **fields: Any) -> dict[str, Any]:
        """Keep a message, with one event."""
        number = len(self.messages) + 1
        message: dict[str, Any] = {
            "id": f"0192f0c8-0000-7000-8000-{number:012}",
            "message_uuid": f"uuid-{number}",
            "from": "+14155551212",
            "to": "+14155552323",
            "text": "hello",
            "tag": None,
            "status": "queued",
            "final": False,
            "error_code": None,
            "reason": None,
            "created_at": CREATED,
            "events": [],
            **fields,
        }
        self.messages[message["id"]] = message
        self.add_event(message, message["status"])
        return message

    def add_event(self, message: dict[str, Any], status: str) -> None:
        """Record an event and wake who waits for it."""
        event = {
            "status": status,
            "sequence": None,
            "at": None,
            "received_at": CREATED,
            "trust": "full",
            "source": "callback",
            "error_code": None,
        }
        message["events"].append(event)
        message["status"] = status
        with self.changed:
            self.events.append(
                {
                    "cursor": f"g1-{len(self.events) + 1}",
                    "message_id": message["id"],
                    "message_uuid": message["message_uuid"],
                    "tag": message["tag"],
                    "to": message["to"],
                    "event": event,
                    "status": status,
                }
            )
            self.changed.notify_all()

    def answer(self, asked: Asked) -> Answer:
        """Do as the script says, then as the contract says."""
        with self.changed:
            self.asked.append(asked)
            self.changed.notify_all()
            act = self.script.pop(0) if self.script else None
        scripted = act(asked) if act else None
        return scripted or self.obey(asked)

    def obey(self, asked: Asked) -> Answer:
        """Answer as the contract says."""
        if self.token and asked.headers.get("Authorization") != f"Bearer {self.token}":
            return problem(401, "a token is wanted")
        route = (asked.method, asked.path.split("/")[1])
        if asked.method == "POST" and route[1] != "send":
            return self._by_hand(asked)
        routes: dict[tuple[str, str], Callable[[Asked], Answer]] = {
            ("POST", "send"): self._send,
            ("GET", "messages"): self._read,
            ("GET", "events"): self._follow,
            ("GET", "stats"): lambda _asked: Answer(200, self.stats),
        }
        handler = routes.get(route)
        return handler(asked) if handler else problem(404, "unknown path")

    def wait_until(self, true: Callable[[], bool]) -> None:
        """Wait for something to have happened here."""
        with self.changed:
            if not self.changed.wait_for(true, PENDING_FOR_EVER_S):
                raise AssertionError("what was waited for did not happen")

    def _send(self, asked: Asked) -> Answer:
        key = asked.headers.get("Idempotency-Key", "")
        body_hash = hashlib.sha256(asked.body).hexdigest()
        if key in self.keys:
            known_hash, known = self.keys[key]
            return known if known_hash == body_hash else problem(422, "another body")
        wanted = asked.json["to"]
        numbers = wanted if isinstance(wanted, list) else [wanted]
        made = [self.add_message(to=n, tag=asked.json.get("tag")) for n in numbers]
        answer = Answer(202, {"messages": made} if isinstance(wanted, list) else made[0])
        self.keys[key] = (body_hash, answer)
        return answer

    def _read(self, asked: Asked) -> Answer:
        if asked.path == "/messages":
            return self._list(asked.query)
        wanted = unquote(asked.path.removeprefix("/messages/"))
        for message in self.messages.values():
            if wanted in (message["id"], message["message_uuid"]):
                return Answer(200, message)
        return problem(404, "no such message")

    def _list(self, query: dict[str, str]) -> Answer:
        found = list(reversed(self.messages.values()))
        if "status" in query:
            found = [message for message in found if message["status"] == query["status"]]
        start, limit = int(query.get("cursor", "0")), int(query.get("limit", "100"))
        end = start + limit
        page = [{k: v for k, v in one.items() if k != "events"} for one in found[start:end]]
        return Answer(200, {"messages": page, "next": str(end) if end < len(found) else None})

    def _follow(self, asked: Asked) -> Answer:
        after = asked.query.get("after", "g1-0")
        if after == "end":
            return Answer(200, {"events": [], "next": f"g1-{len(self.events)}"})
        if not after.startswith("g1-"):
            return problem(410, "the cursor is from before the store was restored")
        seen = int(after.removeprefix("g1-"))
        with self.changed:
            if "wait" in asked.query:
                self.changed.wait_for(
                    lambda: self.stopping or len(self.events) > seen, PENDING_FOR_EVER_S
                )
            events = self.events[seen : seen + int(asked.query["limit"])]
        return Answer(200, {"events": events, "next": f"g1-{seen + len(events)}"})

    def _by_hand(self, asked: Asked) -> Answer:
        if not isinstance(self.place, Path):
            return problem(403, "over the Unix socket alone")
        if asked.path.startswith("/outbox/"):
            self.held = asked.path == "/outbox/hold"
            return Answer(200, {"held": self.held})
        message = self.messages.get(asked.path.split("/")[2])
        if message is None:
            return problem(404, "no such message")
        if asked.path.endswith("/settle"):
            return self._settle(message, asked.json)
        if message["status"] != "pending":
            return problem(409, "only a pending message can be cancelled")
        self.add_event(message, "refused")
        return Answer(200, message)

    def _settle(self, message: dict[str, Any], said: dict[str, str]) -> Answer:
        if message["status"] != "unknown":
            return problem(409, "only a send whose outcome is unknown can be settled")
        statuses = {"sent": "queued", "not-sent": "refused", "send-again": "refused"}
        self.add_event(message, statuses[said["outcome"]])
        if said["outcome"] == "send-again":
            message = self.add_message(status="pending", resend_of=message["id"])
        return Answer(200, message)


class _Handler(BaseHTTPRequestHandler):
    """Reads a request whole, and writes the daemon's answer or cuts the connection."""

    def __init__(self, daemon: Daemon, *words: Any) -> None:
        self._daemon = daemon
        super().__init__(*words)

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        """Serve one request; the connection ends with it."""
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        query = dict(parse_qsl(parts.query))
        answer = self._daemon.answer(
            Asked(self.command, parts.path, query, dict(self.headers.items()), body)
        )
        self.close_connection = True
        if not answer.is_lost:
            self._write(answer)

    do_POST = do_GET  # noqa: N815 - http.server wants this name

    def _write(self, answer: Answer) -> None:
        content = json.dumps(answer.document).encode() if answer.raw is None else answer.raw
        headers = {"Content-Type": "application/json", "Content-Length": str(len(content))}
        self.send_response(answer.status)
        for name, value in (headers | answer.headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_words: object) -> None:
        """Keep quiet."""


class _TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True


class _UnixServer(socketserver.ThreadingUnixStreamServer):
    pass


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What was written, parsed."""
        return json.loads(self.out)


def run(*words: str, stdin: bytes = b"") -> Ended:
    """Run plivostatusctl in this process."""
    out, err = io.StringIO(), io.StringIO()
    typed = io.TextIOWrapper(io.BytesIO(stdin))
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(sys, "stdin", typed),
    ):
        status = main(words)
    return Ended(status, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def serving(transport: str, folder: Path, *, token: str = "") -> Iterator[Daemon]:
    """Serve over `tcp` or `unix` for the length of a block."""
    place = folder / "api.sock" if transport == "unix" else "127.0.0.1:0"
    daemon = Daemon(place, token=token).start()
    try:
        yield daemon
    finally:
        daemon.stop()


def free_port() -> int:
    """A port on loopback where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _ask(daemon: Daemon, method: str, path: str, body: bytes = b"") -> tuple[int, Any]:
    connection = http.client.HTTPConnection(str(daemon.place), timeout=10)
    try:
        connection.request(method, path, body, {"Idempotency-Key": "k"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_it_sends_once_under_one_key(tmp_path: Path) -> None:
    """A key that was seen gets its first answer again, and another body under it 422."""
    with serving("tcp", tmp_path) as daemon:
        first = _ask(daemon, "POST", "/send", b'{"to":"+14155552323","text":"x"}')
        second = _ask(daemon, "POST", "/send", b'{"to":"+14155552323","text":"x"}')
        other = _ask(daemon, "POST", "/send", b'{"to":"+14155552323","text":"y"}')
    assert (202, 422) == (first[0], other[0])
    assert first == second
    assert 1 == len(daemon.messages)


def test_it_can_lose_an_answer(tmp_path: Path) -> None:
    """An act of the script may do the work and cut the connection."""
    with serving("tcp", tmp_path) as daemon:
        daemon.script.append(lambda asked: Answer(is_lost=daemon.obey(asked).status == 202))
        with pytest.raises(http.client.RemoteDisconnected):
            _ask(daemon, "POST", "/send", b'{"to":"+14155552323","text":"x"}')
    assert 1 == len(daemon.messages)
