"""Ranges of a monitoring plug-in: any text is one or is refused, and means what it says."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivostatusd.check.ranges import parse

NUMBERS = st.decimals(-1_000, 1_000, places=2)


@given(st.text("0123456789.:@~- 1e", max_size=12) | st.text(max_size=12))
def test_any_text(text: str) -> None:
    """Any text is a range with an order, or a ValueError; nothing else comes of it."""
    try:
        found = parse(text)
    except ValueError:
        return
    assert text == found.text
    assert found.low <= found.high
    assert found.alerts(math.nan) is not found.is_inverted


@given(st.sampled_from(["", "~"]) | NUMBERS.map(str), st.just("") | NUMBERS.map(str), NUMBERS)
def test_what_it_means(start: str, end: str, value: object) -> None:
    """An alert is raised outside of both ends, which are good themselves; with @ it is inverted."""
    low = -math.inf if start == "~" else float(start or 0)
    high = math.inf if end == "" else float(end)
    number = float(str(value))
    text = f"{start}:{end}"
    if low > high or text == ":":
        return
    is_inside = low <= number <= high
    assert is_inside is not parse(text).alerts(number)
    assert is_inside is parse(f"@{text}").alerts(number)
    for edge in {low, high} - {math.inf, -math.inf}:
        assert not parse(text).alerts(edge)


def test_a_colon_alone() -> None:
    """A colon alone says nothing of either end: from nought on, as the guidelines read it."""
    assert (0.0, math.inf) == (parse(":").low, parse(":").high)
    with pytest.raises(ValueError, match="no range"):
        parse("")
