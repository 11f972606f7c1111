"""The brake on log lines that a stranger can cause."""

from __future__ import annotations

from plivostatusd.domain.flood import LINES_MAX, SPAN_S, Flood


def test_so_many_lines_and_then_a_count() -> None:
    """A flood writes its first lines; the first line of the next span says how many were not."""
    flood = Flood()
    told = [flood.admit(100.0) for _ in range(LINES_MAX + 7)]
    assert told == [0] * LINES_MAX + [None] * 7
    assert flood.admit(100.0 + SPAN_S) == 7
    assert flood.admit(100.0 + SPAN_S) == 0
