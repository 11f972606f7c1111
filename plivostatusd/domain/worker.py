"""
What a worker says of itself, so that whoever watches can tell waiting from being stuck.

Pure: the time is the caller's. One word takes the place of the one before, in one step, so that a
worker on a thread of its own may be watched from another.
"""

from __future__ import annotations

from typing import Final

_NOT_BEGUN: Final = "its beginning"


class Worker:
    """A thread or a story, by *name*: it waits for something, or will be heard of by a time."""

    __slots__ = ("_said", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._said: tuple[str, float | None] = (_NOT_BEGUN, None)

    def waits_for(self, what: str) -> None:
        """Say that it waits for *what*, however long that takes: it is somebody else's to do."""
        self._said = (what, None)

    def is_back_by(self, time_s: float, doing: str) -> None:
        """Say that there is more to be heard of it by *time_s* of the steady clock."""
        self._said = (doing, time_s)

    def stuck_in(self, now_s: float) -> str | None:
        """Say what it is stuck in; None when it is not."""
        doing, due_s = self._said
        return doing if due_s is not None and now_s > due_s else None
