"""
Thresholds as all monitoring plug-ins have them. Pure.

    10       alert below 0 or above 10        10:20    below 10 or above 20
    10:      below 10                         @10:20   from 10 to 20, both included
    ~:10     above 10

Source: Monitoring Plugins Development Guidelines, "Threshold and Ranges" (read 2026-11-30).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_NUMBER = r"-?\d+(?:\.\d+)?"
_RANGE = re.compile(rf"(@?)(?:(~|{_NUMBER})?:)?({_NUMBER})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Range:
    """From *low* to *high*, both included, lies what is good; *is_inverted*: what is not."""

    low: float
    high: float
    is_inverted: bool
    text: str

    def alerts(self, value: float) -> bool:
        """Say whether *value* is one to raise an alert for."""
        return (self.low <= value <= self.high) is self.is_inverted


def parse(text: str) -> Range:
    """
    Read a range.

    Raises:
        ValueError: it is none, or begins behind its end.
    """
    match = _RANGE.fullmatch(text)
    if match is None or not text.strip("@"):
        raise ValueError(f"{text!r} is no range; want 10, 10:, ~:10, 10:20 or @10:20")
    inverted, start, end = match.groups()
    low = -math.inf if start == "~" else float(start or 0)
    high = math.inf if end is None else float(end)
    if low > high:
        raise ValueError(f"{text!r} begins behind its end")
    return Range(low, high, bool(inverted), text)
