"""
Plivo's limits on the calls of its API: so many within so long. Pure.

Source: plivo.com/docs/messaging/api, overview and list-all-messages, read 2026-11. How Plivo
counts is not documented; here any stretch of that length counts, and what is refused does not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

CALLS, CALLS_S = 300, 5.0
LISTS, LISTS_S = 20, 60.0


class Limit:
    """At most *calls* in any stretch of *seconds*."""

    def __init__(self, calls: int, seconds: float) -> None:
        self._calls = calls
        self._seconds = seconds
        self._at_s: deque[float] = deque()

    def admits(self, now_s: float) -> bool:
        """Count a call, unless it is one too many."""
        while self._at_s and self._at_s[0] <= now_s - self._seconds:
            self._at_s.popleft()
        if len(self._at_s) >= self._calls:
            return False
        self._at_s.append(now_s)
        return True


class Limits:
    """All of an account's limits; *shortened_s* says how long Plivo's seconds take here."""

    def __init__(self, shortened_s: Callable[[float], float]) -> None:
        self._calls = Limit(CALLS, shortened_s(CALLS_S))
        self._lists = Limit(LISTS, shortened_s(LISTS_S))

    def admit(self, now_s: float, *, is_list: bool) -> bool:
        """Count a call, unless a limit is passed."""
        return self._calls.admits(now_s) and (not is_list or self._lists.admits(now_s))
