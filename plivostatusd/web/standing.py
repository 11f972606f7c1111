"""
How things stand at the moment of a scrape: gauges of what is looked at then, and not counted.

None of it costs more as the store grows: counts come from its tallies, sizes from stat(2). What
cannot be read now has no value, so that no rule takes an old one for news.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Gauge

from plivostatusd.domain.statuses import RANKS
from plivostatusd.store.entries import STATES, tally_of

if TYPE_CHECKING:
    from collections.abc import Mapping

OTHER: Final = "other"


def word(status: str | None) -> str:
    """Name a status in a label: a fixed set of words, whatever Plivo may come to say."""
    if status is None:
        return "none"
    return status if status in RANKS else OTHER


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What the store says of itself: its tallies, and the age of the oldest open message."""

    tallies: Mapping[str, int]
    oldest_open_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """
    What a scrape finds. *counted* is None while the store cannot be read.

    *free_bytes* is what the disk has left, None if it cannot be asked; with fewer than
    *free_bytes_min* the daemon is not ready. *file_bytes* has the store's size and its log's.
    """

    counted: Counted | None
    spooled: int
    is_writable: bool
    is_held: bool
    is_paused: bool
    free_bytes: int | None
    free_bytes_min: int
    file_bytes: Mapping[str, int]


class StandingGauges:
    """The gauges that a scrape sets."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, about: str, *labels: str) -> Gauge:
            return Gauge(f"plivostatusd_{name}", about, labels, registry=registry)

        self._messages = gauge("messages", "Messages by status", "status")
        self._outbox = gauge("outbox_messages", "Sends that are not settled", "state")
        self._held = gauge("outbox_held", "Whether an operator, or a doubt, holds the outbox")
        self._paused = gauge(
            "outbox_paused", "Whether the outbox waits, as Plivo refuses the account"
        )
        self._oldest = gauge(
            "oldest_open_message_seconds", "Age of the oldest message that is not final"
        )
        self._spooled = gauge("spool_records", "Callbacks that are in the spool alone")
        self._writable = gauge("store_writable", "Whether the store took what was written last")
        self._sizes = gauge("store_bytes", "Size of the store and of its write-ahead log", "file")
        self._free = gauge("disk_free_bytes", "What is left on the store's disk")
        self._free_min = gauge("disk_reserve_bytes", "With less left on disk it is not ready")

    def show(self, standing: Standing) -> None:
        """Take over what was found."""
        self._count(standing.counted)
        self._held.set(standing.is_held)
        self._paused.set(standing.is_paused)
        self._spooled.set(standing.spooled)
        self._writable.set(standing.is_writable)
        self._free.set(math.nan if standing.free_bytes is None else standing.free_bytes)
        self._free_min.set(standing.free_bytes_min)
        self._sizes.clear()
        for file, size in standing.file_bytes.items():
            self._sizes.labels(file).set(size)

    def _count(self, counted: Counted | None) -> None:
        if counted is None:
            self._messages.clear()
            self._outbox.clear()
            self._oldest.set(math.nan)
            return
        left = dict(counted.tallies)
        for state in STATES:
            self._outbox.labels(state).set(left.pop(tally_of(state), 0))
        counts = dict.fromkeys((*RANKS, OTHER), 0)
        for status, count in left.items():
            counts[word(status)] += count
        for status, count in counts.items():
            self._messages.labels(status).set(count)
        self._oldest.set(counted.oldest_open_s)
