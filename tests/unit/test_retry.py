from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivostatusd.domain import retry


@pytest.mark.parametrize(
    ("attempt", "delay_s"),
    [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (8, 60), (17, 60), (10_000, 60)],
)
def test_doubling(attempt: int, delay_s: float) -> None:
    """Waits double from one second up to a minute."""
    assert delay_s == retry.delay_s(attempt, random=0.0)


@given(st.integers(1, 1000), st.floats(0, 1, exclude_max=True))
def test_jitter(attempt: int, random: float) -> None:
    """Chance takes up to half of a wait, so that many who failed together do not return so."""
    whole = retry.delay_s(attempt, random=0.0)
    assert whole / 2 <= retry.delay_s(attempt, random=random) <= whole


@pytest.mark.parametrize("told_s", [0.0, 0.25, 7.0, 86_400.0])
def test_told(told_s: float) -> None:
    """A Retry-After is obeyed to the letter."""
    assert told_s == retry.delay_s(3, random=0.9, told_s=told_s)


@pytest.mark.parametrize("attempt", [0, -1])
def test_the_first_retry_is_one(attempt: int) -> None:
    """There is no wait before the first call."""
    with pytest.raises(ValueError, match="the first retry is 1"):
        retry.delay_s(attempt, random=0.0)
