"""
How many follow the events at the same time, by long poll or by event stream.

Each of them reads the store after every commit, about a tenth of a millisecond of the one thread
that reads, so that too many would cost each callback's neighbours more than the commit does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from plivostatusd.domain.errors import Refusal

FOLLOWERS_MAX: Final = 64
_RETRY_S: Final = 5


class TooManyFollow(Refusal):
    """
    Nobody else can be served a long poll or a stream now.

    503 and not 429: it is the daemon that has no room, whoever asks, and however seldom.
    """

    http_status = 503
    slug = "too-many-follow"
    title = f"{FOLLOWERS_MAX} programs follow the events already"
    hint = "Ask without wait, or end some: ss -xtnp"


class Followers:
    """Counts those who follow."""

    def __init__(self) -> None:
        self.count = 0

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Count one more for the length of a block. Raises `TooManyFollow`."""
        if self.count >= FOLLOWERS_MAX:
            raise TooManyFollow(retry_after_s=_RETRY_S)
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1
