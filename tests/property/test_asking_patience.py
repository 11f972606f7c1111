"""However a message stands, questions about it are bounded, and end."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from plivostatusd.domain.asking import (
    CONTESTED,
    DAY_US,
    DOUBTED,
    LAST_WORD_SENT,
    RECORD_KEPT_US,
    SILENT,
    Patience,
    Standing,
)

SECOND_US = 1_000_000
YEAR_US = 365 * DAY_US
# As the configuration allows them.
afters = st.integers(SECOND_US, YEAR_US) | st.integers(SECOND_US, 3_600 * SECOND_US)
patiences = st.builds(
    Patience,
    after_us=st.just(0) | afters,
    silence_final_us=st.integers(SECOND_US, YEAR_US),
)
standings = st.builds(
    Standing,
    status=st.sampled_from(["queued", "sent", "delivered", "failed", "read", "unknown", "odd"]),
    final=st.booleans(),
    contested=st.booleans(),
    doubted=st.booleans(),
)
counts = st.integers(0, 40) | st.integers(0, 10**9)
silences = st.integers(0, 2 * YEAR_US) | st.integers(0, DAY_US)


@settings(max_examples=500)
@given(patiences, standings, counts, silences)
def test_what_is_asked(patience: Patience, standing: Standing, asked: int, silent_us: int) -> None:
    """No wait is negative or endless; what is final and undisputed is not asked about."""
    ask = patience.next(standing, asked=asked, silent_us=silent_us)
    is_open_sent = standing.status == "sent" and not standing.final
    if ask is None:
        is_known = standing.final and not standing.contested and not standing.doubted
        assert is_known or not patience.after_us or silent_us > RECORD_KEPT_US
        assert not is_open_sent
        return
    assert 0 <= ask.in_us <= max(DAY_US, patience.after_us, patience.silence_final_us)
    if is_open_sent:
        assert LAST_WORD_SENT == ask.urgency
    else:
        wanted = CONTESTED if standing.contested else DOUBTED if standing.doubted else SILENT
        assert wanted == ask.urgency
        assert not standing.final or standing.contested or standing.doubted
        assert patience.after_us


@settings(max_examples=500)
@given(patiences, standings, counts, counts, silences)
def test_more_and_more_seldom(
    patience: Patience, standing: Standing, first: int, more: int, silent_us: int
) -> None:
    """Who has been asked about more often waits no shorter for the next question."""
    sooner = patience.next(standing, asked=first, silent_us=silent_us)
    later = patience.next(standing, asked=first + more, silent_us=silent_us)
    assert (sooner is None) == (later is None)
    if sooner is not None and later is not None:
        assert sooner.in_us <= later.in_us


@settings(max_examples=200)
@given(patiences, st.integers(0, YEAR_US))
def test_sent_ends_in_silence(patience: Patience, silent_us: int) -> None:
    """Of a `sent` a question is due exactly when it is final by silence, and none after that."""
    standing = Standing("sent", final=False, contested=False, doubted=False)
    asked = 0
    while not patience.is_silent_for_good(standing, silent_us):
        ask = patience.next(standing, asked=asked, silent_us=silent_us)
        assert ask is not None
        assert silent_us + ask.in_us <= patience.silence_final_us
        silent_us, asked = silent_us + ask.in_us, asked + 1
        assert asked < 20
    if asked:
        assert patience.silence_final_us == silent_us
    is_final = standing._replace(final=True)
    assert patience.next(is_final, asked=asked, silent_us=silent_us) is None


@settings(max_examples=200)
@given(patiences.filter(lambda each: each.after_us > 0), standings)
def test_asking_comes_to_an_end(patience: Patience, standing: Standing) -> None:
    """A message of which nothing is ever learnt is asked about a bounded number of times."""
    silent_us, asked = 0, 0
    while ask := patience.next(standing, asked=asked, silent_us=silent_us):
        silent_us, asked = silent_us + ask.in_us, asked + 1
        if patience.is_silent_for_good(standing, silent_us):
            break
        assert asked < 130
    assert standing.final or asked
