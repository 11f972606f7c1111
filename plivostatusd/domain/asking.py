"""
When Plivo's API is asked about a message, and how urgently. Pure; times are microseconds.

The least certain come first: outcomes that contradict each other, then messages of which nothing is
known but that Plivo has them, then outcomes that only the URL's signature vouches for, then `sent`,
which for many carriers is the last word for ever. Who has been asked about in vain is asked about
more and more seldom.

Source: Plivo keeps the records of messages for 90 days (support.plivo.com, "message detail
records", read 2026-11).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from plivostatusd.domain.statuses import SENT

if TYPE_CHECKING:
    from plivostatusd.domain.statuses import Fold

CONTESTED: Final = 0
SILENT: Final = 1
DOUBTED: Final = 2
LAST_WORD_SENT: Final = 3
URGENCIES: Final = (CONTESTED, SILENT, DOUBTED, LAST_WORD_SENT)

DAY_US: Final = 86_400_000_000
RECORD_KEPT_US: Final = 90 * DAY_US
_PAUSE_US_MAX: Final = DAY_US
_CONTESTED_US: Final = 60_000_000
_SENT_FACTOR: Final = 6
_SENT_GROWTH: Final = 8


class Standing(NamedTuple):
    """How a message stands: as its fold does."""

    status: str
    final: bool
    contested: bool
    doubted: bool

    @classmethod
    def of(cls, whole: Fold) -> Standing:
        """See what of a fold matters here."""
        return cls(whole.status, whole.final, whole.contested, whole.doubted)


class Ask(NamedTuple):
    """The next question about a message: how urgent it is, and in how long."""

    urgency: int
    in_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """What the configuration says: *after_us* of 0 never asks."""

    after_us: int
    silence_final_us: int

    def is_silent_for_good(self, standing: Standing, silent_us: int) -> bool:
        """Say whether a `sent` has been the last word for so long that it counts as final."""
        is_last_word = standing.status == SENT and not standing.final
        return is_last_word and silent_us >= self.silence_final_us

    def next(self, standing: Standing, *, asked: int, silent_us: int) -> Ask | None:
        """
        Say when to ask about a message, asked about *asked* times since it is watched; None: never.

        *silent_us* is how long ago the last word of it came. Of a `sent` the last question, or with
        asking switched off the only one, is due when it counts as final.
        """
        if standing.status == SENT and not standing.final:
            return Ask(LAST_WORD_SENT, self._until_sent_is_final(asked, silent_us))
        if not self.after_us or silent_us > RECORD_KEPT_US:
            return None
        if standing.contested:
            return Ask(CONTESTED, _pause(_CONTESTED_US, asked) if asked else 0)
        if standing.doubted:
            return Ask(DOUBTED, _pause(self.after_us, asked) if asked else 0)
        if standing.final:
            return None
        pause_us = _pause(self.after_us, asked)
        return Ask(SILENT, pause_us if asked else max(0, pause_us - silent_us))

    def _until_sent_is_final(self, asked: int, silent_us: int) -> int:
        end_us = max(0, self.silence_final_us - silent_us)
        if not self.after_us:
            return end_us
        first_us = self.after_us * _SENT_FACTOR
        if not asked:
            return min(end_us, max(0, first_us - silent_us))
        return min(end_us, first_us * _SENT_GROWTH ** min(asked, 8)) if end_us else _PAUSE_US_MAX


def _pause(first_us: int, asked: int) -> int:
    return min(first_us << min(asked, 24), max(first_us, _PAUSE_US_MAX))
