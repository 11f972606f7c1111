"""What the account took, in the order of time, so that a page of it costs no walk over the rest."""

from __future__ import annotations

from bisect import bisect_left, insort
from operator import attrgetter

from .message import Message

Place = tuple[int, int]
"""Where a message stands: its time in microseconds, and its number in the account."""

_PLACE = attrgetter("place")


class Catalogue:
    """Messages by time, and those to one recipient by time."""

    def __init__(self) -> None:
        self._all: list[Message] = []
        self._by_dst: dict[str, list[Message]] = {}

    def add(self, message: Message) -> None:
        """Take one in; a clock that was set back puts it before others."""
        for shelf in (self._all, self._by_dst.setdefault(message.dst, [])):
            insort(shelf, message, key=_PLACE)

    def count_to(self, dst: str) -> int:
        """Say how many there are to one recipient."""
        return len(self._by_dst.get(dst, ()))

    def between(self, first: Place, end: Place, dst: str | None = None) -> list[Message]:
        """Give those in [*first*, *end*), oldest first: all of them, or those to *dst*."""
        shelf = self._all if dst is None else self._by_dst.get(dst, [])
        return shelf[bisect_left(shelf, first, key=_PLACE) : bisect_left(shelf, end, key=_PLACE)]
