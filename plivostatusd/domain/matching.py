"""
Which message of Plivo's list is which send of ours whose answer was lost. Pure.

Plivo takes no name of ours for a message, so only circumstances tell: sender, recipient, direction
and the time of the call. Two fit each other only if nobody else fits either of them; a guess
between two would give one send the fate of another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MARGIN_US: Final = 120_000_000
"""How far Plivo's time of a message may lie from that of our call, either way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A send that is not settled: *called_us* is when Plivo was called, by the wall clock."""

    row: int
    sender: str | None = field(repr=False)
    recipient: str = field(repr=False)
    called_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A message of Plivo's list that is bound to no message of ours."""

    message_uuid: str
    direction: str | None
    sender: str | None = field(repr=False)
    recipient: str | None = field(repr=False)
    at_us: int | None

    def fits(self, call: Call) -> bool:
        """Say whether this may be what *call* asked for; a pool of numbers may send from any."""
        if self.at_us is None or self.direction == "inbound" or self.recipient != call.recipient:
            return False
        if call.sender is not None and self.sender != call.sender:
            return False
        return abs(self.at_us - call.called_us) <= MARGIN_US


def matches(
    calls: Sequence[Call], candidates: Iterable[Candidate]
) -> Iterator[tuple[Call, Candidate]]:
    """
    Give each pair that fits, and of which neither fits anything else.

    *calls* must be all that are not settled, and *candidates* all that Plivo lists, within
    `MARGIN_US` of what is looked for: else "nobody else" is not known.
    """
    free = {candidate.message_uuid: candidate for candidate in candidates}.values()
    fitting = {call.row: [each for each in free if each.fits(call)] for call in calls}
    for call in calls:
        if len(fitting[call.row]) != 1:
            continue
        (candidate,) = fitting[call.row]
        if sum(candidate.fits(other) for other in calls) == 1:
            yield call, candidate
