"""Callbacks go first: long work on the event loop gives way to them between its parts."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

COMING_S: Final = 0.25
"""Where one came, more are taken to be on their way for so long."""
REST_S: Final = 0.002
"""What a callback takes from its last byte to its answer, when nothing is in its way."""
RESTS_MAX: Final = 5
"""Under steady load some callback is always on its way, and long work is to end all the same."""

TURN_S_MAX: Final = 0.1
LONG_TURN_S_MAX: Final = 2.0
"""After so long the next one is let in all the same: all are to hear of a store that hangs."""


class Courtesy:
    """
    Gives way while *waiting* says that callbacks are on their way to disk; *received* counts all.

    A turn of the loop between two parts is not enough. Two threads work on a callback, and each
    of them waits for Python's lock as long as whoever holds it has something to do.
    """

    def __init__(self, waiting: Callable[[], int], received: Callable[[], int] = lambda: 0) -> None:
        self._waiting, self._received = waiting, received
        self._known = 0  # of those received
        self._door, self._long_door = asyncio.Lock(), asyncio.Lock()
        self._coming_until_s = 0.0

    async def give_way(self) -> None:
        """Let others have a turn; return when no callback waits, or after ten milliseconds."""
        await asyncio.sleep(0)
        for _ in range(RESTS_MAX):
            if not self._waiting():
                return
            await asyncio.sleep(REST_S)

    @asynccontextmanager
    async def turn(self, *, is_long: bool = False) -> AsyncGenerator[None]:
        """
        Let one in after the other, each when no callback waits, or after ten milliseconds.

        While callbacks come the next one is let in when this one is done: what a callback finds in
        front of it, on the loop and in the writer, is one. Else at once, so that many share a
        COMMIT; but each has a turn of the loop of its own. Those that are *long* always go one by
        one, by a door of theirs, and give way between their steps.
        """
        door = self._long_door if is_long else self._door
        with ExitStack() as stack:
            await door.acquire()
            stack.callback(door.release)
            await self.give_way()
            if is_long or self.are_coming:
                within_s = LONG_TURN_S_MAX if is_long else TURN_S_MAX
                late = asyncio.get_running_loop().call_later(within_s, stack.close)
                stack.callback(late.cancel)
            else:
                stack.close()
            yield

    @property
    def are_coming(self) -> bool:
        """Say whether callbacks came lately."""
        now_s = asyncio.get_running_loop().time()
        if self._known != (received := self._received()):
            self._known = received
            self._coming_until_s = now_s + COMING_S
        return now_s < self._coming_until_s
