"""
Plivo's API as reconciling needs it, answering as a test tells it to, and a flow that asks it.

No socket is involved: what the real door to Plivo does with one has tests of its own. What Plivo
knows is a list of records; a script of other answers may come before it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from plivostatusd.domain import times
from plivostatusd.flows.reconcile import Reconcile, Terms
from plivostatusd.flows.reconcile.brake import Brake
from plivostatusd.flows.reconcile.desk import Desk
from plivostatusd.flows.reconcile.outcomes import Outcome
from plivostatusd.host.clock import Clock
from plivostatusd.plivo import record
from plivostatusd.plivo.outcome import Absent, Finding, Found, Listed, Listing
from plivostatusd.plivo.query import ListQuery, Page
from plivostatusd.plivo.record import MessageRecord
from plivostatusd.store import entries
from plivostatusd.store.entries import Entry
from tests.unit.store_place import SECOND_US, Place, opened, submission, uuid

SENDER, RECIPIENT = "+14155551212", "+14155552323"
AFTER_S = 600.0
BRAKE_S = 0.01
SILENCE_S = 259_200.0
Ask = Callable[[str], Awaitable[Finding]]
Read = Callable[[ListQuery], Awaitable[Listing]]


class AskedPlivo:
    """Answers from its scripts (`findings`, `listings`) while they last, then what it knows."""

    def __init__(self) -> None:
        self.records: dict[str, MessageRecord] = {}
        self.findings: list[Finding | Exception | Ask] = []
        self.listings: list[Listing | Exception | Read] = []
        self.asked: list[str] = []
        self.queries: list[ListQuery] = []
        self._heard = asyncio.Event()

    def know(self, number: int, state: str, at_us: int, **more: Any) -> str:
        """Have Plivo know a message; its UUID comes back."""
        told = made_record(number, state, at_us, **more)
        self.records[told.message_uuid] = told
        return told.message_uuid

    async def get(self, message_uuid: str) -> Finding:
        """Say what became of one message."""
        self.asked.append(message_uuid)
        self._heard.set()
        if self.findings:
            scripted = self.findings.pop(0)
            if isinstance(scripted, Exception):
                raise scripted
            return await scripted(message_uuid) if callable(scripted) else scripted
        return self.knowledge(message_uuid)

    def knowledge(self, message_uuid: str) -> Finding:
        """Answer from what is known."""
        known = self.records.get(message_uuid)
        return Absent() if known is None else Found(known)

    async def list(self, query: ListQuery) -> Listing:
        """Give one page."""
        self.queries.append(query)
        self._heard.set()
        if self.listings:
            scripted = self.listings.pop(0)
            if isinstance(scripted, Exception):
                raise scripted
            return await scripted(query) if callable(scripted) else scripted
        return self.page(query)

    def page(self, query: ListQuery) -> Listed:
        """Give one page of what is known, newest first."""
        found = [each for each in self.records.values() if _is_wanted(each, query)]
        found.sort(key=lambda each: each.message_time_us or 0, reverse=True)
        first = int(query.page.value) if query.page else 0
        last = first + query.limit
        following = Page("offset", str(last)) if last < len(found) else None
        return Listed(tuple(found[first:last]), following)

    async def heard(self, *, questions: int = 0, pages: int = 0) -> None:
        """Return once so many questions and pages have been asked for."""
        while len(self.asked) < questions or len(self.queries) < pages:
            self._heard.clear()
            await self._heard.wait()


def _is_wanted(each: MessageRecord, query: ListQuery) -> bool:
    return (
        each.message_time_us is not None
        and query.since_us <= each.message_time_us < query.until_us
        and query.sender in {None, each.sender}
        and query.recipient in {None, each.recipient}
        and query.direction in {None, each.direction}
    )


def made_record(number: int, state: str, at_us: int, **more: Any) -> MessageRecord:
    """Make what Plivo says of one message, through the reader of its JSON."""
    said = {
        "message_uuid": uuid(number),
        "message_state": state,
        "message_direction": "outbound",
        "from_number": SENDER.removeprefix("+"),
        "to_number": RECIPIENT.removeprefix("+"),
        "message_time": times.rfc3339(at_us),
        **more,
    }
    told = record.parse(json.dumps({key: said[key] for key in said if said[key]}).encode())
    assert told is not None
    return told


class Held:
    """An answer that waits until it is let go."""

    def __init__(self, plivo: AskedPlivo) -> None:
        self._plivo = plivo
        self.asked = asyncio.Event()
        self.gone_on = asyncio.Event()

    async def __call__(self, message_uuid: str) -> Finding:
        """Wait, then answer from what is known."""
        self.asked.set()
        await self.gone_on.wait()
        return self._plivo.knowledge(message_uuid)


@dataclass
class Counts:
    """The results that were counted, in order."""

    results: list[str] = field(default_factory=list)

    def reconciled(self, result: str) -> None:
        """Count one."""
        self.results.append(result)


@dataclass
class Asking:
    """The flow over a store, and the Plivo that it asks."""

    place: Place
    plivo: AskedPlivo
    reconcile: Reconcile
    counts: Counts

    @property
    def desk(self) -> Desk:
        """What the parts share."""
        return self.reconcile._desk

    def turns_s(self) -> list[float]:
        """
        Note from now on when each question's turn has come, in the loop's seconds.

        When it is asked then is up to a busy machine, which may be late with one and not the next.
        """
        pace = self.desk.get_pace
        spend, noted = pace.spend, list[float]()

        def note(turn_s: float) -> None:
            noted.append(turn_s)
            spend(turn_s)

        pace.spend = note  # type: ignore[method-assign]  # noted, then done
        return noted

    async def sent(self, number: int, **options: Any) -> Entry:
        """Send a message, which Plivo takes under the UUID of *number*."""
        entry = await self.claimed(**options)
        now_us = self.place.clock()
        await self.do(entries.settle_accepted, entry.row, uuid(number), now_us)
        return entry

    async def lost(self, **options: Any) -> Entry:
        """Send a message, and lose the answer; it may be looked for at once."""
        entry = await self.claimed(**options)
        now_us = self.place.clock()
        await self.do(entries.settle_unknown, entry.row, "lost", now_us, now_us)
        return entry

    async def claimed(self, **options: Any) -> Entry:
        """Send a message, and be on the way."""
        now_us = self.place.clock()
        await self.place.accept(submission(now_us=now_us, **options))
        entry = await self.do(entries.claim, now_us, now_us)
        assert isinstance(entry, Entry)
        return entry

    async def do(self, job: Any, *arguments: Any) -> Any:
        """Run one of the store's functions in a transaction."""
        return await self.place.writer.submit(lambda tx: job(tx, *arguments))

    async def take_down(self) -> None:
        """Take down what is open as of now."""
        await self.reconcile.begin()
        await self.reconcile._take_down()

    async def ask_all(self) -> None:
        """Ask single questions until nothing is due."""
        while await self.reconcile._questions.round():
            pass

    async def message(self, name: str) -> dict[str, Any]:
        """Give a message's row."""
        found = await self.place.reader.message(name)
        assert found is not None
        return found

    async def status(self, name: str) -> str:
        """Give a message's status."""
        return str((await self.message(name))["current_status"])

    def planned(self) -> list[tuple[int, int, float, int]]:
        """Give what is planned: message, urgency, in how many seconds, and how often asked."""
        now_us = self.place.clock()
        rows = self.place.rows("SELECT message, urgency, due_at, asked FROM asks ORDER BY message")
        return [
            (row, urgent, (due - now_us) / SECOND_US, asked) for row, urgent, due, asked in rows
        ]

    async def demand(self, *ids: str) -> list[Outcome | str]:
        """Ask about *ids* now, and give all answers."""
        return [each async for each in self.reconcile.demand(ids)]

    async def demand_all(self) -> list[Outcome]:
        """Ask about all that is open now, and give all answers; the flow must be running."""
        return [each async for each in self.reconcile.demand_all()]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the flow for the length of a block."""
        await self.reconcile.begin()
        story = asyncio.ensure_future(self.reconcile.run())
        try:
            yield
            assert not story.done()
        finally:
            story.cancel()
            await asyncio.wait([story])


def terms(**changes: Any) -> Terms:
    """Make terms under which no question waits for the pace."""
    usual = Terms(
        after_s=AFTER_S,
        silence_final_s=SILENCE_S,
        get_per_second=100_000.0,
        list_per_minute=6_000_000.0,
        unknown_after_s=86_400.0,
        refuses_unknown=False,
    )
    return replace(usual, **changes)


@asynccontextmanager
async def asking(folder: Path, **options: Any) -> AsyncIterator[Asking]:
    """Open a store and the flow over it; *options* are those of `opened`, and terms."""
    connect = {"connect": options.pop("connect")} if "connect" in options else {}
    async with opened(folder, **connect) as place:
        plivo, counts = AskedPlivo(), Counts()
        clock = Clock(place.clock, place.clock)
        reconcile = Reconcile(place.writer, plivo, terms(**options), counts, clock=clock)
        reconcile._desk.brake = Brake(first_s=BRAKE_S)
        yield Asking(place, plivo, reconcile, counts)
