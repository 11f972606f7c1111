"""A brake on log lines that a stranger can cause: so many in a span of time, then a count. Pure."""

from __future__ import annotations

from typing import Final

LINES_MAX: Final = 20
SPAN_S: Final = 10.0


class Flood:
    """Says which lines are written. Times are monotonic seconds, handed in."""

    def __init__(self) -> None:
        self._began_s = float("-inf")
        self._lines = 0
        self._left_out = 0

    def admit(self, now_s: float) -> int | None:
        """Say how many lines were left out before this one; None when this one is left out too."""
        if now_s - self._began_s >= SPAN_S:
            self._began_s = now_s
            self._lines = 0
        if self._lines >= LINES_MAX:
            self._left_out += 1
            return None
        self._lines += 1
        left_out, self._left_out = self._left_out, 0
        return left_out
