"""Tells a message's story: changes its status in time, and has that reported in its manner."""

from __future__ import annotations

import asyncio
import random

from .callback import Callback, fields_of
from .courier import Courier
from .forgery import Kind, forge
from .message import Message
from .options import Options
from .pace import Pace
from .story import Manner, Step, Story

_FORGED_BEFORE = (Kind.UNSIGNED, Kind.WRONG_TOKEN)
_FORGED_AFTER = {
    "queued": (Kind.FIELDS_CHANGED, Kind.V3_AS_V2),
    "sent": (Kind.URL_AND_NONCE, Kind.ELSEWHERE, Kind.V3_STRIPPED),
    "delivered": (Kind.V3_STRIPPED, Kind.WRONG_TOKEN),
}


class Teller:
    """Runs stories; the courier does the calling."""

    def __init__(self, options: Options, pace: Pace, courier: Courier) -> None:
        self._options = options
        self._pace = pace
        self._courier = courier

    async def tell(self, message: Message, story: Story) -> None:
        """Tell *story* to its end, retries apart."""
        manner = story.manner if message.url else Manner.SILENT
        tell = {
            Manner.IN_ORDER: self._in_order,
            Manner.SILENT: self._silent,
            Manner.SHUFFLED: self._shuffled,
            Manner.AMONG_FORGERIES: self._among_forgeries,
        }[manner]
        try:
            await tell(message, story, asyncio.get_running_loop().time())
        finally:
            # Whoever waits for the first callback must not wait for one that never comes.
            message.first_called.set()

    async def _reach(self, message: Message, step: Step, start_s: float) -> dict[str, str]:
        """Wait for the moment of *step*, change the status, and write the fields that say so."""
        await self._pace.wait_until(start_s, step.after_s)
        sequence = message.change(step.status, self._pace.now_us(), step.error_code)
        return fields_of(message, step.status, sequence, step.error_code)

    async def _in_order(self, message: Message, story: Story, start_s: float) -> None:
        """Call at each change; the first attempts never overtake each other."""
        for step in story.steps:
            fields = await self._reach(message, step, start_s)
            await self._courier.report(message, self._courier.sign(message, fields))

    async def _silent(self, message: Message, story: Story, start_s: float) -> None:
        for step in story.steps:
            await self._reach(message, step, start_s)

    async def _shuffled(self, message: Message, story: Story, start_s: float) -> None:
        """Hold everything back until the story is over, then let it go, twice each."""
        held = []
        for step in story.steps:
            fields = await self._reach(message, step, start_s)
            held.append(self._courier.sign(message, fields))
        for callback in doubled_and_shuffled(held, message.random):
            await self._courier.report(message, callback)

    async def _among_forgeries(self, message: Message, story: Story, start_s: float) -> None:
        for step in story.steps:
            fields = await self._reach(message, step, start_s)
            genuine = self._courier.sign(message, fields)
            if step is story.steps[0]:
                await self._forge(message, genuine, _FORGED_BEFORE)
            delivery = await self._courier.report(message, genuine)
            kinds = _FORGED_AFTER[step.status]
            if not delivery.is_acknowledged:
                # V2 covers no field: until the daemon knows its nonce, this one is no forgery.
                kinds = tuple(kind for kind in kinds if kind is not Kind.V3_STRIPPED)
            await self._forge(message, genuine, kinds)

    async def _forge(self, message: Message, genuine: Callback, kinds: tuple[Kind, ...]) -> None:
        token = self._options.auth_tokens[0]
        for kind in kinds:
            forged = forge(kind, genuine, message.url, token, message.random)
            if forged is not None:
                await self._courier.carry(message, forged, forgery=kind.value)


def doubled_and_shuffled(callbacks: list[Callback], source: random.Random) -> list[Callback]:
    """
    Repeat each callback exactly and mix them all.

    The mix never begins with the first status nor ends with the last, so that "the last to arrive
    wins" is wrong whatever the seed.
    """
    order = callbacks * 2
    source.shuffle(order)
    while order[0] is callbacks[0] or order[-1] is callbacks[-1]:
        source.shuffle(order)
    return order
