"""
What comes one by one within a turn of the event loop, and is done together at its end.

One kind of work for many is done faster than many kinds for one: what the work needs (code, tables,
the kernel's part) is in the processor's caches from the second on. Nothing waits for a timer, and
nothing longer than a turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Turn(Generic[T]):
    """Hands *together* what was added, in that order. Used on the running loop."""

    def __init__(self, together: Callable[[list[T]], None]) -> None:
        self._together = together
        self._items: list[T] = []

    def add(self, item: T) -> None:
        """Have *item* done with what else this turn brings."""
        if not self._items:
            asyncio.get_running_loop().call_soon(self._end)
        self._items.append(item)

    def _end(self) -> None:
        items, self._items = self._items, []
        self._together(items)
