"""`GET /stats`: counts for people, of all messages or of those that a query means."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from plivostatusd.domain import delivery
from plivostatusd.domain.countries import ISO
from plivostatusd.store.entries import STATES
from plivostatusd.store.figures import DAY_US, PARTS, Wanted
from plivostatusd.web import filters
from plivostatusd.web.handler import Handler, bad_query, count

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plivostatusd.store.figures import Figure

GROUPS_MAX: Final = 10_000
_GROUPS: Final = 100
_DELIVERED: Final = ("delivered", "read")
_UNDELIVERED: Final = ("undelivered", "failed", "rejected")
_OPEN: Final = ("pending", "unknown", "queued", "sent")
_NAMES: Final = (*(name for name in filters.NAMES if name != "final"), "per", "limit")


@dataclass(slots=True)
class Counted:
    """Messages that have something in common: how many have which status, and what they took."""

    messages: Counter[str] = field(default_factory=Counter)
    took: Counter[int] = field(default_factory=Counter)

    def add(self, figure: Figure) -> None:
        """Count one figure in."""
        self.messages[figure.status] += figure.n
        if figure.took >= 0:
            self.took[figure.took] += figure.n

    @property
    def total(self) -> int:
        """All messages."""
        return self.messages.total()

    def shape(self) -> dict[str, Any]:
        """Give the counts as JSON has them; `delivery_seconds` by Plivo's own times."""
        counts = self.messages
        delivered = sum(counts[status] for status in _DELIVERED)
        ended = delivered + sum(counts[status] for status in _UNDELIVERED)
        return {
            "messages": dict(sorted(counts.items())),
            "total": self.total,
            "open": sum(counts[status] for status in _OPEN),
            "delivery_ratio": round(delivered / ended, 4) if ended else None,
            "delivery_seconds": {
                "p50": delivery.percentile_s(self.took, 0.5),
                "p95": delivery.percentile_s(self.took, 0.95),
                "messages": self.took.total(),
            },
        }


class StatsHandler(Handler):
    """Counts for people."""

    async def get(self) -> None:
        """Count what the query means, told apart by what `per` says."""
        query = self.query(*_NAMES)
        limit = count(query, "limit", _GROUPS, GROUPS_MAX)
        asked = filters.messages(query)
        part = query.get("per")
        if part is not None and part not in PARTS:
            bad_query("per", f"expected one of {', '.join(PARTS)}")
        wanted = Wanted(
            columns=dict(asked.equalities()),
            since_us=asked.since_us,
            until_us=asked.until_us,
            part=part,
        )
        figures = await self.services.stats.count(wanted)
        groups = {} if part is None else _groups(part, figures, limit)
        self.reply(_counted(figures).shape() | groups | {"outbox": await self._outbox()})

    async def _outbox(self) -> dict[str, Any]:
        tallies = await self.services.reader.tallies()
        outbox = self.services.outbox
        states = {state: tallies.get(f"outbox.{state}", 0) for state in STATES}
        return {**states, "held": outbox.held, "paused": outbox.paused}


def _counted(figures: Iterable[Figure]) -> Counted:
    counted = Counted()
    for figure in figures:
        counted.add(figure)
    return counted


def _groups(part: str, figures: Iterable[Figure], limit: int) -> dict[str, Any]:
    """Give each group by itself: days in order, all else the most messages first."""
    counted: dict[Any, Counted] = {}
    for figure in figures:
        counted.setdefault(figure.part, Counted()).add(figure)
    if part == "day":
        ordered = sorted(counted.items(), reverse=True)[:limit][::-1]
    else:
        ordered = sorted(counted.items(), key=lambda each: (-each[1].total, str(each[0])))[:limit]
    shown = [_named(part, value) | group.shape() for value, group in ordered]
    left_out = sum(group.total for group in counted.values()) - sum(one["total"] for one in shown)
    return {
        "per": part,
        "groups": shown,
        "left_out": {"groups": len(counted) - len(shown), "messages": left_out},
    }


def _named(part: str, value: Any) -> dict[str, Any]:
    """Name a group; None is the one of messages of which it is not known."""
    if value is None:
        return {part: None}
    if part == "day":
        return {part: f"{datetime.fromtimestamp(value * DAY_US // 1_000_000, UTC):%Y-%m-%d}"}
    if part == "country":
        return {part: f"+{value}", "iso": ISO.get(value, "").split(",")}
    return {part: value}
