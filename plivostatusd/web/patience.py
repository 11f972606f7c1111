"""
How long each of many is waited for, by one timer.

All are waited for equally long, so the order in which they began is the order in which they are
due: beginning and ending are a dictionary's, and no timer runs while nobody is waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Patience(Generic[T]):
    """Calls *lost* with each that was waited for longer than *seconds*. Made on a running loop."""

    def __init__(self, seconds: float, lost: Callable[[T], None]) -> None:
        self._seconds = seconds
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._due_s: dict[T, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __iter__(self) -> Iterator[T]:
        """Give those who are waited for, the longest first."""
        return iter(self._due_s)

    def begin(self, who: T) -> None:
        """Wait for *who*; whoever is waited for already gains no time by it."""
        due_s = self._loop.time() + self._seconds
        self._due_s.setdefault(who, due_s)
        if self._timer is None:
            self._timer = self._loop.call_at(due_s, self._look)

    def end(self, who: T) -> None:
        """Wait for *who* no longer."""
        self._due_s.pop(who, None)

    def close(self) -> None:
        """Wait for nobody any more."""
        self._due_s.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        now_s = self._loop.time()
        while self._due_s:
            who, due_s = next(iter(self._due_s.items()))
            if due_s > now_s:
                self._timer = self._loop.call_at(due_s, self._look)
                return
            del self._due_s[who]
            self._lost(who)
