"""Callbacks go first: long work on the event loop gives way to them between its parts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

REST_S: Final = 0.002
"""What a callback takes from its last byte to its answer, when nothing is in its way."""
RESTS_MAX: Final = 5
"""Under steady load some callback is always on its way, and long work is to end all the same."""


class Courtesy:
    """
    Gives way while *waiting* says that callbacks are on their way to disk.

    A turn of the loop between two parts is not enough. Two threads work on a callback, and each
    of them waits for Python's lock as long as whoever holds it has something to do.
    """

    def __init__(self, waiting: Callable[[], int]) -> None:
        self._waiting = waiting

    async def give_way(self) -> None:
        """Let others have a turn; return when no callback waits, or after ten milliseconds."""
        await asyncio.sleep(0)
        for _ in range(RESTS_MAX):
            if not self._waiting():
                return
            await asyncio.sleep(REST_S)
