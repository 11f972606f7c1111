"""When a message is asked about next, case by case."""

from __future__ import annotations

import pytest

from plivostatusd.domain.asking import (
    CONTESTED,
    DAY_US,
    DOUBTED,
    LAST_WORD_SENT,
    RECORD_KEPT_US,
    SILENT,
    URGENCIES,
    Ask,
    Patience,
    Standing,
)
from plivostatusd.domain.statuses import Fact, fold

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
USUAL = Patience(after_us=10 * MINUTE_US, silence_final_us=72 * HOUR_US)
OFF = Patience(after_us=0, silence_final_us=72 * HOUR_US)

QUEUED = Standing("queued", final=False, contested=False, doubted=False)
SENT = QUEUED._replace(status="sent")
DELIVERED = QUEUED._replace(status="delivered", final=True)
REFUSED = DELIVERED._replace(status="refused")
CONTRADICTED = DELIVERED._replace(contested=True)
UNSURE = DELIVERED._replace(doubted=True)
SILENCED = SENT._replace(final=True)


@pytest.mark.parametrize(
    ("standing", "asked", "silent_us", "wanted"),
    [
        # Nothing known but that Plivo has it.
        (QUEUED, 0, 0, Ask(SILENT, 10 * MINUTE_US)),
        (QUEUED, 0, 4 * MINUTE_US, Ask(SILENT, 6 * MINUTE_US)),
        (QUEUED, 0, HOUR_US, Ask(SILENT, 0)),
        (QUEUED, 1, HOUR_US, Ask(SILENT, 20 * MINUTE_US)),
        (QUEUED, 7, HOUR_US, Ask(SILENT, 1280 * MINUTE_US)),
        (QUEUED, 8, HOUR_US, Ask(SILENT, DAY_US)),
        (QUEUED, 10**6, RECORD_KEPT_US, Ask(SILENT, DAY_US)),
        (QUEUED, 0, RECORD_KEPT_US + 1, None),
        # `sent`, for many carriers the last word.
        (SENT, 0, 0, Ask(LAST_WORD_SENT, HOUR_US)),
        (SENT, 0, 20 * MINUTE_US, Ask(LAST_WORD_SENT, 40 * MINUTE_US)),
        (SENT, 0, 2 * HOUR_US, Ask(LAST_WORD_SENT, 0)),
        (SENT, 1, HOUR_US, Ask(LAST_WORD_SENT, 8 * HOUR_US)),
        (SENT, 2, 9 * HOUR_US, Ask(LAST_WORD_SENT, 63 * HOUR_US)),  # not 64: it is final then
        (SENT, 0, 72 * HOUR_US, Ask(LAST_WORD_SENT, 0)),
        (SENT, 3, 72 * HOUR_US, Ask(LAST_WORD_SENT, DAY_US)),
        # Outcomes.
        (DELIVERED, 0, 0, None),
        (REFUSED, 0, HOUR_US, None),
        (SILENCED, 3, 72 * HOUR_US, None),
        (UNSURE, 0, 0, Ask(DOUBTED, 0)),
        (UNSURE, 1, 0, Ask(DOUBTED, 20 * MINUTE_US)),
        (UNSURE, 40, HOUR_US, Ask(DOUBTED, DAY_US)),
        (CONTRADICTED, 0, 0, Ask(CONTESTED, 0)),
        (CONTRADICTED, 1, 0, Ask(CONTESTED, 2 * MINUTE_US)),
        (CONTRADICTED, 40, HOUR_US, Ask(CONTESTED, DAY_US)),
        (CONTRADICTED._replace(doubted=True), 0, 0, Ask(CONTESTED, 0)),
        (CONTRADICTED, 0, RECORD_KEPT_US + 1, None),
        (UNSURE, 0, RECORD_KEPT_US + 1, None),
    ],
)
def test_next(standing: Standing, asked: int, silent_us: int, wanted: Ask | None) -> None:
    """It depends on how certain a message is, how long it is silent, and how often it was asked."""
    assert wanted == USUAL.next(standing, asked=asked, silent_us=silent_us)


@pytest.mark.parametrize("standing", [QUEUED, DELIVERED, REFUSED, UNSURE, CONTRADICTED, SILENCED])
def test_off(standing: Standing) -> None:
    """With asking switched off nothing is asked about."""
    assert OFF.next(standing, asked=0, silent_us=HOUR_US) is None


@pytest.mark.parametrize("asked", [0, 1, 5])
@pytest.mark.parametrize(("silent_h", "in_h"), [(0, 72), (71, 1), (72, 0), (80, 0)])
def test_off_but_for_silence(asked: int, silent_h: int, in_h: int) -> None:
    """With asking switched off a `sent` is still due when it counts as final."""
    ask = OFF.next(SENT, asked=asked, silent_us=silent_h * HOUR_US)
    assert Ask(LAST_WORD_SENT, in_h * HOUR_US) == ask


def test_a_slow_asker() -> None:
    """Who asks after more than a day never waits for less."""
    slow = Patience(after_us=3 * DAY_US, silence_final_us=365 * DAY_US)
    for asked in range(5):
        for standing in (QUEUED, UNSURE):
            ask = slow.next(standing, asked=asked, silent_us=0)
            assert ask is not None
            assert (0 if standing is UNSURE and not asked else 3 * DAY_US) == ask.in_us
    assert Ask(LAST_WORD_SENT, 18 * DAY_US) == slow.next(SENT, asked=0, silent_us=0)


@pytest.mark.parametrize(
    ("standing", "silent_h", "is_so"),
    [(SENT, 71, False), (SENT, 72, True), (QUEUED, 80, False), (SILENCED, 80, False)],
)
def test_silent_for_good(standing: Standing, silent_h: int, *, is_so: bool) -> None:
    """A `sent` that stayed the last word for long enough counts as final; nothing else does."""
    for patience in (USUAL, OFF):
        assert is_so == patience.is_silent_for_good(standing, silent_h * HOUR_US)


def test_urgencies() -> None:
    """Contradictions are the most urgent, then silence, then doubt, then `sent`."""
    assert sorted(URGENCIES) == list(URGENCIES) == [CONTESTED, SILENT, DOUBTED, LAST_WORD_SENT]


def test_standing_of_a_history() -> None:
    """How a message stands is what its fold says."""
    sent = Fact("sent", "callback", "full")
    delivered = Fact("delivered", "callback", "url-only")
    assert SENT == Standing.of(fold([sent]))
    assert UNSURE == Standing.of(fold([sent, delivered]))
    failed = Fact("failed", "callback", "url-only")
    both = Standing.of(fold([sent, delivered, failed]))
    assert CONTRADICTED._replace(status="failed", doubted=True) == both
