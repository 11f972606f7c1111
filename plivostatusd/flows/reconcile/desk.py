"""What every part of reconciling works with: the store, the clocks, the API, the terms."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from plivostatusd.flows.pace import Pace
from plivostatusd.flows.reconcile.brake import Brake
from plivostatusd.store.findings import Answer, Moment

if TYPE_CHECKING:
    from plivostatusd.domain.asking import Patience
    from plivostatusd.flows.reconcile.outcomes import Outcomes
    from plivostatusd.flows.reconcile.terms import Api, Terms
    from plivostatusd.host.clock import Clock
    from plivostatusd.plivo.outcome import Finding, Listing
    from plivostatusd.plivo.query import ListQuery
    from plivostatusd.plivo.record import MessageRecord
    from plivostatusd.store.writer import Writer

Answered = TypeVar("Answered", bound="Finding | Listing")

MINUTE_S: Final = 61.0
"""Whoever asks exactly as often as Plivo allows is refused whenever one question is a bit faster
than the twentieth before it, which costs more than a sixtieth."""
DEMANDED_US: Final = 600_000_000
"""Stands for `reconcile.after` where that is off, and somebody demands answers all the same."""


class Desk:
    """Shared by the parts; `api` and `terms` may be replaced between questions."""

    def __init__(
        self, writer: Writer, api: Api, terms: Terms, outcomes: Outcomes, clock: Clock
    ) -> None:
        self.writer = writer
        self.api = api
        self.terms = terms
        self.outcomes = outcomes
        self.clock = clock
        self.brake = Brake()
        self.get_pace = Pace(terms.get_per_second)
        self.list_pace = Pace(terms.list_per_minute / MINUTE_S)
        self._bells: list[asyncio.Event] = []
        self.demands = 0  # how many people wait for answers that they have asked for

    @property
    def is_asking(self) -> bool:
        """Say whether Plivo is asked: as a rule, or because somebody demands it."""
        return self.terms.is_asking or self.demands > 0

    @property
    def patience(self) -> Patience:
        """When messages are asked about."""
        patience = self.terms.patience
        if self.demands and not self.terms.is_asking:
            return replace(patience, after_us=DEMANDED_US)
        return patience

    def moment(self) -> Moment:
        """Read the clocks."""
        clock = self.clock
        return Moment(
            now_us=clock.wall_us(), careful_us=clock.careful_us(), steady_us=clock.steady_us()
        )

    def change(self, terms: Terms) -> None:
        """Go on under other terms."""
        self.terms = terms
        self.get_pace.per_second = terms.get_per_second
        self.list_pace.per_second = terms.list_per_minute / MINUTE_S

    async def get(self, message_uuid: str) -> Finding:
        """Ask about one message; the brake hears of the answer."""
        api = self.api
        return self._noted(api, await api.get(message_uuid))

    async def list(self, query: ListQuery) -> Listing:
        """Ask for one page; the brake hears of the answer."""
        api = self.api
        return self._noted(api, await api.list(query))

    def _noted(self, api: Api, outcome: Answered) -> Answered:
        if api is self.api:  # one that was replaced meanwhile fails because it was closed
            self.brake.note(outcome)
        return outcome

    def bell(self) -> asyncio.Event:
        """Make a bell for one part, which clears it before it looks: so no ring is lost."""
        bell = asyncio.Event()
        self._bells.append(bell)
        return bell

    def ring(self) -> None:
        """Have every part look for what is due."""
        for bell in self._bells:
            bell.set()

    async def rest(self, bell: asyncio.Event) -> None:
        """Wait until *bell* rings, or it is time to look again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.terms.look_every_s):
                await bell.wait()


def answer_of(record: MessageRecord) -> Answer:
    """See what Plivo's API says of a message as the store writes it down."""
    return Answer(record.message_uuid, record.fact(), record.raw)
