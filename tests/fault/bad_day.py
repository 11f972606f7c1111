"""
A daemon's bad day with Plivo: one victim, bystanders, and callbacks that go on all the while.

Owns what is looked at whatever Plivo does: callbacks are answered 200 and soon, other messages go
on, memory stays bounded, nothing leaks into the log, and nobody gets another's UUID.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from plivostatusd.simulator.options import AUTH_ID, AUTH_TOKEN
from tests.acceptance.daemon import API_TOKEN, SENDER, Daemon
from tests.fault.bad_plivo import Plivo
from tests.wire import Answer

TEXT = "The parcel is behind the door"
VICTIMS, BYSTANDERS = PREFIXES = ("1415556", "1415557")
TIMEOUT_S = 1.0
CALLBACK_S_MAX = 2.0
GROWTH_KIB_MAX = 24 * 1024
"""Four answers of ``ANSWER_BYTES_MAX`` and what unpacking takes, eight threads and their stacks."""


def victim(number: int) -> str:
    """Name a recipient for whom things go wrong."""
    return f"+{VICTIMS}{number:04}"


class BadDay:
    """A daemon before a Plivo that misbehaves."""

    def __init__(self, daemon: Daemon, plivo: Plivo) -> None:
        self.daemon = daemon
        self.plivo = plivo
        self.bystanders: dict[str, str] = {}
        self._numbers = itertools.count()

    def move_to(self, plivo: Plivo) -> None:
        """Look at another Plivo from now on."""
        self.plivo.close()
        self.plivo = plivo

    async def send(self, to: str, wait: str = "0") -> Answer:
        """Send one message."""
        return await self.daemon.send(to, wait=wait, text=TEXT)

    async def begin(self, to: str) -> str:
        """Record one message, and give its id."""
        reply = await self.send(to)
        assert (202, "pending") == (reply.status, reply.json["status"])
        return str(reply.json["id"])

    async def others_go_on(self) -> None:
        """See that another message is taken, and under the UUID that it was given."""
        to = f"+{BYSTANDERS}{next(self._numbers):04}"
        reply = await self.send(to, wait="10s")
        assert (202, "queued") == (reply.status, reply.json["status"]), reply.text
        assert self.plivo.names[to] == reply.json["message_uuid"]
        self.bystanders[to] = reply.json["id"]

    async def until(self, message_id: str, status: str) -> dict[str, Any]:
        """Wait for a message's status, and give the message."""
        await self.daemon.until(lambda statuses: statuses.get(message_id) == status)
        return await self.daemon.message(message_id)

    def outcomes(self, message_id: str) -> list[str]:
        """Say how the log calls each call for one message."""
        return [
            line["outcome"]
            for line in self.daemon.lines
            if line.get("message_id") == message_id and "outcome" in line
        ]

    def peak_kib(self) -> int:
        """Read how much memory the daemon has had at most."""
        status = Path(f"/proc/{self.daemon.pid}/status").read_text()
        match = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
        assert match is not None
        return int(match[1])


@asynccontextmanager
async def bad_day(
    folder: Path,
    plivo: Plivo,
    /,
    *,
    url: str = "",
    wrapper: Sequence[str] = (),
    **changed: Mapping[str, str],
) -> AsyncIterator[BadDay]:
    """
    Run a daemon that others use too; at its end look at what must be so whatever happened.

    *url* is where it looks for Plivo, if not there; *wrapper* is the command that runs it.
    """
    changed["plivo"] = {"timeout": f"{TIMEOUT_S:g}s", **changed.get("plivo", {})}
    daemon = Daemon(folder, url or plivo.url(), **changed)
    daemon.wrapper += wrapper
    day = BadDay(daemon, plivo)
    try:
        await daemon.start()
        async with callbacks_going_on(daemon):
            yield day
        await daemon.stop()
        assert "" == daemon.stderr
        assert [] == daemon.unexpected(), daemon.unexpected()
        assert_nothing_leaks(daemon)
        for to in day.bystanders:
            assert 1 == day.plivo.posts(to)
    finally:
        await daemon.close()
        day.plivo.close()


@asynccontextmanager
async def callbacks_going_on(daemon: Daemon) -> AsyncIterator[None]:
    """Call back without a pause, for the length of a block; each call must be answered in time."""
    over = asyncio.Event()
    slowest_s, answered = 0.0, 0
    loop = asyncio.get_running_loop()

    async def call() -> None:
        nonlocal slowest_s, answered
        while not over.is_set():
            began_s = loop.time()
            reply = await daemon.deliver(daemon.callback("delivered", str(uuid4())))
            assert (200, answered) == (reply.status, answered)
            slowest_s, answered = max(slowest_s, loop.time() - began_s), answered + 1

    calling = asyncio.ensure_future(call())
    try:
        yield
    finally:
        over.set()
        await calling
    assert answered > 0
    assert slowest_s < CALLBACK_S_MAX


def assert_nothing_leaks(daemon: Daemon) -> None:
    """Look for what nobody may see: tokens, texts, whole numbers, and what a server said."""
    everything = daemon.log + daemon.stderr
    basic = base64.b64encode(f"{AUTH_ID}:{AUTH_TOKEN}".encode()).decode()
    numbers = [SENDER.removeprefix("+"), *PREFIXES]
    for secret in (AUTH_TOKEN, API_TOKEN, basic, TEXT, "parcel", "Bad Gateway", *numbers):
        assert secret not in everything
