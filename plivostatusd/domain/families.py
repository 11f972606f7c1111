"""
Whether an account's callbacks are signed by V2 alone: then not all its outcomes are doubted. Pure.

Plivo's pages disagree on which signatures a callback bears; an account whose callbacks never bear
V3 would have every outcome on the bare path asked about.
"""

from __future__ import annotations

from typing import Final

ALL_V2: Final = 100
"""So many verified callbacks in a row without V3 make a habit."""
CONFIRM_EVERY_S: Final = 60.0


class Families:
    """Counts verified callbacks without a V3 signature. Times are monotonic seconds, handed in."""

    def __init__(self) -> None:
        self.in_a_row = 0
        self._confirmed_s = float("-inf")

    def note(self, *, has_v3: bool) -> bool:
        """Count one; True at the moment when V2 alone has become a habit."""
        self.in_a_row = 0 if has_v3 else self.in_a_row + 1
        return self.in_a_row == ALL_V2

    def admit(self, now_s: float) -> bool:
        """Say whether this outcome is to be confirmed: where V2 alone is the habit, few are."""
        if self.in_a_row < ALL_V2:
            return True
        if now_s - self._confirmed_s < CONFIRM_EVERY_S:
            return False
        self._confirmed_s = now_s
        return True
