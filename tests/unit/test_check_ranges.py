"""Thresholds, as the Monitoring Plugins guidelines have them."""

from __future__ import annotations

import pytest

from plivostatusd.check.ranges import parse


@pytest.mark.parametrize(
    ("text", "bad", "good"),
    [
        # The guidelines' own table, then what follows from it.
        ("10", [-1, 10.1, 11], [0, 5, 10]),
        ("10:", [9.9, -1], [10, 1e9]),
        ("~:10", [10.1], [-1e9, 10]),
        ("10:20", [9, 21], [10, 15, 20]),
        ("@10:20", [10, 15, 20], [9, 21]),
        ("@10", [0, 10], [-1, 11]),
        (":10", [-1, 11], [0, 10]),
        ("~:", [], [-1e9, 1e9]),
        ("0", [1, -1], [0]),
        ("0.5:1.5", [0.4, 1.6], [0.5, 1.5]),
        ("-5:5", [-6, 6], [-5, 0, 5]),
    ],
)
def test_ranges(text: str, bad: list[float], good: list[float]) -> None:
    """A range raises an alert for what lies outside of it, with @ for what lies within."""
    found = parse(text)
    assert text == found.text
    assert bad == [value for value in (*bad, *good) if found.alerts(value)]


@pytest.mark.parametrize(
    "text",
    ["", "@", "x", "10:x", "20:10", "~", "10~:", "1h", "1:2:3", "10 ", "1e3", "٣", "--5", "@~"],
)
def test_what_is_no_range(text: str) -> None:
    """What is no range is said so, and is never taken for another."""
    with pytest.raises(ValueError, match=r"range|behind"):
        parse(text)
