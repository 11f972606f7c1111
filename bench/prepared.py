"""
Signed callbacks, made before the clock runs: the bytes that go over the wire, in a file for wrk.

Every request is a new event: no nonce comes twice. Forms and signatures are the simulator's, V2 and
V3 on each, as Plivo sends them. A seed makes a run repeatable.
"""

from __future__ import annotations

import json
import random
import re
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from plivostatusd.simulator.callback import fields_of
from plivostatusd.simulator.message import Message
from plivostatusd.simulator.options import AUTH_TOKEN
from plivostatusd.simulator.signer import signed_request

PUBLIC_HOST = "sms.example.com"
PUBLIC_URL = f"https://{PUBLIC_HOST}"
STATUSES = ("queued", "sent", "delivered")
GUESSED = "guessed-token"
SILENT = "+14155550006"
"""The simulator takes messages to it, and calls back of none."""

_FACT = re.compile(rb"MessageUUID=([^&]+)&.*?&Status=([^&]+)&", re.DOTALL)


def of_new_messages(count: int, source: random.Random) -> Iterator[bytes]:
    """Make *count* callbacks on the bare path, each the first word of a message of its own."""
    for _ in range(count):
        yield _request("/plivo/status", _message(source), "sent", 2, source)


def of_sent_messages(
    sent: Sequence[tuple[str, str]], source: random.Random, *, in_flight: int = 500
) -> Iterator[bytes]:
    """
    Make three callbacks for each of *sent*, pairs of ref and MessageUUID, on the refs' own paths.

    As many messages as *in_flight* are told of side by side: queued of each, then sent, delivered.
    """
    for start in range(0, len(sent), in_flight):
        block = [(ref, _message(source, name)) for ref, name in sent[start : start + in_flight]]
        for sequence, status in enumerate(STATUSES, start=1):
            for ref, message in block:
                yield _request(f"/plivo/{ref}/status", message, status, sequence, source)


class Stock:
    """Callbacks of new messages, the same for all: each server takes its next ones."""

    def __init__(self, source: random.Random) -> None:
        self._source = source
        self._made: list[bytes] = []
        self._taken: dict[str, int] = {}

    def take(self, name: str, count: int) -> list[bytes]:
        """Give the next *count* for the server called *name*."""
        start = self._taken.get(name, 0)
        self._taken[name] = end = start + count
        self._made.extend(of_new_messages(max(end - len(self._made), 0), self._source))
        return self._made[start:end]


def forged() -> bytes:
    """Make a callback whose signatures somebody made who does not know the token."""
    source = random.Random()
    return _request("/plivo/status", _message(source), "delivered", 3, source, token=GUESSED)


def of_sends(count: int, tag: str, *, to_each: int = 1) -> Iterator[bytes]:
    """Make *count* sends to *to_each* numbers: at once accepted, and no callback comes of them."""
    to = SILENT if to_each == 1 else [SILENT] * to_each
    body = json.dumps({"to": to, "text": "hello", "tag": tag}).encode()
    head = f"POST /send?wait=0 HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    for _ in range(count):
        yield head.encode() + body


def fact_of(request: bytes) -> tuple[str, str]:
    """Say what a callback reports: MessageUUID and status."""
    found = _FACT.search(request)
    assert found is not None
    return found[1].decode(), found[2].decode()


def write(requests: Iterable[bytes], path: Path) -> None:
    """Write *requests* as load.lua reads them: a line with the length in front of each."""
    with path.open("wb") as file:
        file.writelines(b"%d\n%b" % (len(request), request) for request in requests)


def _message(source: random.Random, name: str | None = None) -> Message:
    return Message(
        uuid=name or str(uuid.UUID(int=source.getrandbits(128), version=4)),
        src="14155551212",
        dst=f"1415555{source.randrange(10_000):04}",
        taken_us=time.time_ns() // 1_000,
        random=source,
        text="hello",
        requester_ip="203.0.113.7",
    )


def _request(  # noqa: PLR0913, PLR0917  (one more than is allowed, for forgeries alone)
    path: str,
    message: Message,
    status: str,
    sequence: int,
    source: random.Random,
    token: str = AUTH_TOKEN,
) -> bytes:
    message.change(status, time.time_ns() // 1_000, sequence=sequence)
    fields = fields_of(message, status, sequence)
    signed = signed_request("POST", PUBLIC_URL + path, fields, token, source=source)
    headers = {
        "Host": PUBLIC_HOST,
        "User-Agent": "Plivo",
        "Content-Length": str(len(signed.body)),
        **signed.headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode("ascii") + signed.body
