"""
Plivo's API as the outbox needs it, answering as a test tells it to, and an outbox that calls it.

No socket is involved: what the real door to Plivo does with one has tests of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from plivostatusd.domain import message
from plivostatusd.domain.message import Request
from plivostatusd.flows.outbox import Outbox, Terms
from plivostatusd.plivo.call import SendCall
from plivostatusd.plivo.outcome import Accepted, Outcome, Probe, Reachable, Unknown
from plivostatusd.store import database
from tests.unit.store_place import Place, opened, uuid

BASE = "https://sms.example.com"
SENDER = "+14155551212"
Answer = Outcome | Exception | Callable[[SendCall], Awaitable[Outcome]]


class ScriptedPlivo:
    """Answers calls in the order of its script, then takes every message."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.probes: list[Probe | Exception] = []
        self.calls: list[SendCall] = []
        self.at_s: list[float] = []
        self.probed = 0
        self.is_closed = False
        self.cut: Lost | None = None
        self._numbers = count(1)
        self._heard = asyncio.Event()

    async def send(self, call: SendCall) -> Outcome:
        """Take one call, and answer."""
        self.calls.append(call)
        self.at_s.append(asyncio.get_running_loop().time())
        self._heard.set()
        answer = self.answers.pop(0) if self.answers else self.accepted()
        if isinstance(answer, Exception):
            raise answer
        return await answer(call) if callable(answer) else answer

    def accepted(self) -> Accepted:
        """Take a message."""
        return Accepted(uuid(next(self._numbers)), "api-id")

    async def probe(self) -> Probe:
        """Take a question that costs nothing."""
        self.probed += 1
        self._heard.set()
        answer = self.probes.pop(0) if self.probes else Reachable()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        """End, and cut the call that was named."""
        self.is_closed = True
        if self.cut and not self.cut.outcome.done():
            self.cut.arrive(Unknown("cut off"))

    async def heard(self, calls: int = 0, *, probes: int = 0) -> None:
        """Return once so many calls and probes have come."""
        while len(self.calls) < calls or self.probed < probes:
            self._heard.clear()
            await self._heard.wait()


class Lost:
    """An answer that does not come until `arrive` is called."""

    def __init__(self) -> None:
        self.outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    async def __call__(self, _: SendCall) -> Outcome:
        """Wait for the answer."""
        return await self.outcome

    def arrive(self, outcome: Outcome) -> None:
        """Answer."""
        self.outcome.set_result(outcome)


class Counts:
    """The outcomes that were counted, in order."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []

    def send_tried(self, outcome: str, seconds: float) -> None:
        """Count one call."""
        assert 0 <= seconds < 60
        self.outcomes.append(outcome)


@dataclass
class Sending:
    """An outbox over a store, and the Plivo that it calls."""

    place: Place
    plivo: ScriptedPlivo
    outbox: Outbox
    counts: Counts

    async def send(self, *, key: str | None = None, **fields: Any) -> str:
        """Record a send, and wait until there is an answer, or cannot be one soon."""
        message_id = await self.record(key=key, **fields)
        await self.outbox.answered([message_id], within_s=20)
        return message_id

    async def record(self, *, key: str | None = None, **fields: Any) -> str:
        """Record a send, and wait for nothing else."""
        accepted = await self.outbox.accept(request(**fields), sent_by="cron", key=key)
        return accepted.ids[0]

    async def message(self, message_id: str) -> dict[str, Any]:
        """Return a message's row."""
        found = await self.place.reader.message(message_id)
        assert found is not None
        return found

    async def status(self, message_id: str) -> str:
        """Return a message's status."""
        return str((await self.message(message_id))["current_status"])

    def entries(self) -> list[Any]:
        """Return the states of what is not settled."""
        return self.place.rows("SELECT state FROM outbox ORDER BY message")

    async def settled(self) -> None:
        """Return once every call that is on its way is written down."""
        while running := self.outbox._stories.running:
            await asyncio.wait(running)


async def passes(until: Callable[[], Any]) -> None:
    """Let the loop turn until something is so."""
    while not until():  # noqa: ASYNC110 - what is waited for has no event of its own
        await asyncio.sleep(0)


def request(**fields: Any) -> Request:
    """Parse a send as the local API does."""
    given = {"to": "+14155552323", "text": "hello", **fields}
    return message.parse(given, default_sender=SENDER)


def terms(**changes: Any) -> Terms:
    """Make terms under which no test waits."""
    plain: dict[str, Any] = {"public_url": BASE, "per_second": 10_000.0, "concurrency": 4}
    plain |= {"retry_for_s": 3600.0, "queue_max": 100, "per_day": 0}
    plain |= {"look_after_s": 1.0}
    return Terms(**{**plain, **changes})


@asynccontextmanager
async def sending(
    folder: Path,
    *answers: Answer,
    starts: bool = True,
    probe_every_s: float = 0.01,
    after_s: float = 0.0,
    connect: Callable[[Path], Any] = database.connect_writer,
    **changes: Any,
) -> AsyncIterator[Sending]:
    """Open a store and an outbox over it; `after_s` is how long after the last time that is."""
    async with opened(folder, connect=connect) as place:
        place.clock.pass_(after_s)
        plivo, counts = ScriptedPlivo(*answers), Counts()
        outbox = Outbox(
            place.writer,
            plivo,
            terms(**changes),
            counts,
            now_us=place.clock,
            steady_us=place.clock,
            probe_every_s=probe_every_s,
        )
        if starts:
            await outbox.start()
        yield Sending(place, plivo, outbox, counts)
        await outbox.stop(within_s=5)
        await outbox.close()
        assert plivo.is_closed or plivo is not outbox._calls.api
