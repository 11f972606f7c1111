"""
Requests that the local API does not let in: counted, and wrong tokens slowed.

A wrong token is answered late, so that guessing costs time. Few wait at once; what comes beyond
them is told at once to come later. Whoever has a right token waits for nobody, even then: a flood
of wrong ones must not lock out those who send, and what 16 characters hold no flood guesses.
Nothing here keeps the event loop, and a daemon that stops keeps nobody waiting.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from prometheus_client import Counter

from plivostatusd.domain.errors import Refusal

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

WAIT_S: Final = 1.0
WAITING_MAX: Final = 64
REASONS: Final = ("token", "host", "origin", "operator-only", "too-many-failures")
"""Every word of `api_refused_total{reason}`."""


class TooManyFailures(Refusal):
    """More wrong tokens at once than anybody has by mistake."""

    http_status = 429
    slug = "too-many-failures"
    title = "Too many requests with a wrong token"
    hint = "Who sends them? The log says request_refused, with the address"


class Failures:
    """Counts what was not let in, and holds back wrong tokens *wait_s* each."""

    def __init__(
        self, registry: CollectorRegistry, stopping: asyncio.Event, *, wait_s: float = WAIT_S
    ) -> None:
        self.waiting = 0
        self._stopping = stopping
        self._wait_s = wait_s
        self._refused = Counter(
            "plivostatusd_api_refused",
            "Requests to the local API that were not let in",
            ["reason"],
            registry=registry,
        )
        for reason in REASONS:
            self._refused.labels(reason)

    def count(self, refusal: Refusal) -> None:
        """Count a request that was not let in."""
        self._refused.labels(refusal.slug if refusal.slug in REASONS else "other").inc()

    async def hold_back(self) -> None:
        """Wait before a wrong token is answered. Raises `TooManyFailures` at once."""
        if self.waiting >= WAITING_MAX:
            raise TooManyFailures(retry_after_s=max(1, round(self._wait_s)))
        self.waiting += 1
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._wait_s):
                    await self._stopping.wait()
        finally:
            self.waiting -= 1
