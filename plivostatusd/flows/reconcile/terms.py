"""What reconciling rests on: Plivo's API, what is counted, and what the configuration says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from plivostatusd.domain.asking import Patience

if TYPE_CHECKING:
    from plivostatusd.plivo.outcome import Finding, Listing
    from plivostatusd.plivo.query import ListQuery


class Api(Protocol):
    """Plivo's API as this flow needs it."""

    async def get(self, message_uuid: str) -> Finding:
        """Ask what became of one message, once."""

    async def list(self, query: ListQuery) -> Listing:
        """Ask for one page of messages, once."""


class Gauges(Protocol):
    """What is counted on the way."""

    def reconciled(self, result: str) -> None:
        """Count one thing learnt, or not learnt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the configuration says about reconciling; replaced as a whole at a reload."""

    after_s: float
    silence_final_s: float
    get_per_second: float
    list_per_minute: float
    unknown_after_s: float
    refuses_unknown: bool

    @property
    def patience(self) -> Patience:
        """When messages are asked about."""
        return Patience(
            after_us=int(self.after_s * 1_000_000),
            silence_final_us=int(self.silence_final_s * 1_000_000),
        )

    @property
    def is_asking(self) -> bool:
        """Say whether Plivo is asked without being told to."""
        return self.after_s > 0

    @property
    def look_every_s(self) -> float:
        """How often to look whether something has become due, in seconds."""
        return min(LOOK_S_MAX, max(LOOK_S_MIN, self.after_s / 4 or LOOK_S_MAX))


LOOK_S_MIN = 0.2
LOOK_S_MAX = 15.0
