"""What the outbox rests on: Plivo's API, what is counted, and what the configuration says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from plivostatusd.plivo.call import SendCall
    from plivostatusd.plivo.outcome import Outcome, Probe


class Api(Protocol):
    """Plivo's API as this flow needs it."""

    async def send(self, call: SendCall) -> Outcome:
        """Ask Plivo to send one message, once."""

    async def probe(self) -> Probe:
        """Ask something that costs nothing."""

    async def close(self) -> None:
        """Cut what is in flight, within a bound."""


class Gauges(Protocol):
    """What is counted on the way."""

    def send_tried(self, outcome: str, seconds: float) -> None:
        """Count one call to Plivo."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """
    What the configuration says about sending; replaced as a whole at a reload.

    *look_after_s* is when Plivo's list may first be asked for a send whose outcome is unknown.
    """

    public_url: str
    per_second: float
    concurrency: int
    retry_for_s: float
    queue_max: int
    per_day: int
    look_after_s: float

    @property
    def look_after_us(self) -> int:
        """When Plivo's list may first be asked for a lost send, in microseconds from its call."""
        return int(self.look_after_s * 1_000_000)

    @property
    def retry_for_us(self) -> int:
        """How long a call that never reached Plivo is tried again, in microseconds."""
        return int(self.retry_for_s * 1_000_000)
