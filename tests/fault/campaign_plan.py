"""
What a campaign does: which messages are sent how, and what befalls whom when. Pure.

All of it is drawn from one source of chance, so that a seed gives the same campaign again: the
same recipients, stories, orders, keys and blows, and the fate of every callback. What two processes
are just doing when a blow falls is nobody's to repeat; that it falls after so many calls is.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from plivostatusd.simulator.story import STORIES

Kind = Literal[
    "daemon stopped",
    "daemon killed",
    "plivo away",
    "both away",
    "sends refused",
    "sends garbled",
    "sends cut",
    "sends unanswered",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
BLOWS_A_KIND = 3
LASTS_MAX = 20
SINGLES = 0.6
LIST_MAX = 100
WAITS = ("0", "0", "0", "1s", "5s")


@dataclass(frozen=True, slots=True)
class Order:
    """One `POST /send`; it is made again under its key until it is answered."""

    key: str
    recipients: tuple[str, ...]
    is_list: bool
    wait: str

    @property
    def fields(self) -> dict[str, object]:
        """What its body says."""
        to = list(self.recipients) if self.is_list else self.recipients[0]
        return {"to": to, "text": f"campaign text of {self.key}"}


@dataclass(frozen=True, slots=True)
class Blow:
    """Something that happens once *after* calls have ended, and lasts until *lasts* more have."""

    after: int
    kind: Kind
    lasts: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole campaign."""

    orders: tuple[Order, ...]
    blows: tuple[Blow, ...]
    seed: int

    @property
    def recipients(self) -> tuple[str, ...]:
        """Everybody who is sent a message, once each."""
        return tuple(to for order in self.orders for to in order.recipients)


def plan(chance: random.Random, messages: int) -> Plan:
    """Draw a campaign of so many messages."""
    recipients = list(_recipients(chance, messages))
    return Plan(
        orders=tuple(_orders(chance, recipients)),
        blows=tuple(_blows(chance, messages)),
        seed=chance.getrandbits(32),
    )


def _recipients(chance: random.Random, messages: int) -> Iterator[str]:
    """Give a number each to every message; the stories take turns in random order."""
    stories: list[str] = []
    for prefix in chance.sample(range(2_000_000, 9_999_999), messages):
        if not stories:
            stories = chance.sample([*STORIES], len(STORIES))
        yield f"+{prefix}{stories.pop()}"


def _orders(chance: random.Random, recipients: list[str]) -> Iterator[Order]:
    start = 0
    while start < len(recipients):
        is_list = chance.random() >= SINGLES
        size = chance.randint(1, LIST_MAX) if is_list else 1
        chosen = tuple(recipients[start : start + size])
        yield Order(f"{chance.getrandbits(64):x}", chosen, is_list, chance.choice(WAITS))
        start += size


def _blows(chance: random.Random, messages: int) -> Iterator[Blow]:
    """Spread every kind of blow over the campaign, in random order."""
    kinds = [*KINDS] * BLOWS_A_KIND
    chance.shuffle(kinds)
    moments = sorted(chance.sample(range(messages // 20, messages * 9 // 10), len(kinds)))
    for after, kind in zip(moments, kinds, strict=True):
        yield Blow(after, kind, lasts=chance.randint(1, LASTS_MAX))
