"""Who waits for Plivo's word on which message. In memory: it is gone with the process."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Answers:
    """One event a message that somebody may wait for."""

    def __init__(self) -> None:
        self._events: dict[str, asyncio.Event] = {}

    def expect(self, ids: Iterable[str]) -> None:
        """Keep what will be said of *ids* until somebody waited for it, or it is forgotten."""
        self._events.update((message_id, asyncio.Event()) for message_id in ids)

    def forget(self, ids: Iterable[str]) -> None:
        """Nobody will wait for *ids*."""
        for message_id in ids:
            self._events.pop(message_id, None)

    def tell(self, message_id: str) -> None:
        """It is known what became of this message, or that it will not be known soon."""
        if event := self._events.get(message_id):
            event.set()

    def tell_all(self) -> None:
        """Nothing will be known of any message soon."""
        for event in self._events.values():
            event.set()

    async def wait(self, ids: Iterable[str], *, within_s: float) -> None:
        """Return once each of *ids* was told of, or *within_s* have passed; then forget them."""
        events = [event for each in ids if (event := self._events.get(each))]
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    for event in events:
                        await event.wait()
        finally:
            self.forget(ids)
