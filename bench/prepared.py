"""
Signed callbacks, made before the clock runs: the bytes that go over the wire, in a file for wrk.

Every request is a new event: no nonce comes twice. Forms and signatures are the simulator's, V2 and
V3 on each, as Plivo sends them. A seed makes a run repeatable.
"""

from __future__ import annotations

import random
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


def _request(
    path: str, message: Message, status: str, sequence: int, source: random.Random
) -> bytes:
    message.change(status, time.time_ns() // 1_000, sequence=sequence)
    fields = fields_of(message, status, sequence)
    signed = signed_request("POST", PUBLIC_URL + path, fields, AUTH_TOKEN, source=source)
    headers = {
        "Host": PUBLIC_HOST,
        "User-Agent": "Plivo",
        "Content-Length": str(len(signed.body)),
        **signed.headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode("ascii") + signed.body
