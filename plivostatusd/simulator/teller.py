"""Tells a message's story: changes its status in time, and has that reported in its manner."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

from .background import Background
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


@dataclass(slots=True)
class Telling:
    """
    A story that is not over: how many of its steps are reached, and what is held back.

    *start_s* is when it began, by the loop's clock.
    """

    message: Message
    story: Story
    start_s: float = 0.0
    reached: int = 0
    held: list[Callback] = field(default_factory=list)

    @property
    def left(self) -> tuple[Step, ...]:
        """The steps still to come."""
        return self.story.steps[self.reached :]


class Teller:
    """Runs stories; the courier does the calling. It knows those that were cut off."""

    def __init__(
        self, options: Options, pace: Pace, courier: Courier, background: Background
    ) -> None:
        self._options = options
        self._pace = pace
        self._courier = courier
        self._background = background
        self._open: dict[str, Telling] = {}

    def begin(self, message: Message, story: Story) -> None:
        """Tell *story* behind everything else."""
        telling = self._open[message.uuid] = Telling(message, story)
        self._background.start(self._tell(telling))

    def resume(self) -> None:
        """Go on with what was cut off; steps whose time has passed are told at once."""
        for telling in tuple(self._open.values()):
            self._background.start(self._tell(telling))

    async def _tell(self, telling: Telling) -> None:
        """Tell a story to its end, retries apart."""
        message = telling.message
        manner = telling.story.manner if message.url else Manner.SILENT
        tell = {
            Manner.IN_ORDER: self._in_order,
            Manner.SILENT: self._silent,
            Manner.SHUFFLED: self._shuffled,
            Manner.AMONG_FORGERIES: self._among_forgeries,
        }[manner]
        age_s = (self._pace.now_us() - message.taken_us) / 1_000_000
        telling.start_s = asyncio.get_running_loop().time() - age_s
        try:
            await tell(telling)
            del self._open[message.uuid]
        finally:
            # Whoever waits for the first callback must not wait for one that never comes.
            message.first_called.set()

    async def _reach(self, telling: Telling, step: Step) -> dict[str, str]:
        """Wait for the moment of *step*, change the status, and write the fields that say so."""
        message = telling.message
        await self._pace.wait_until(telling.start_s, step.after_s)
        sequence = message.change(step.status, self._pace.now_us(), step.error_code)
        telling.reached += 1
        return fields_of(message, step.status, sequence, step.error_code)

    async def _in_order(self, telling: Telling) -> None:
        """Call at each change; unless late, the first attempts never overtake each other."""
        message = telling.message
        for step in telling.left:
            fields = await self._reach(telling, step)
            await self._courier.report(message, self._courier.sign(message, fields))

    async def _silent(self, telling: Telling) -> None:
        for step in telling.left:
            await self._reach(telling, step)

    async def _shuffled(self, telling: Telling) -> None:
        """Hold everything back until the story is over, then let it go, twice each."""
        message = telling.message
        for step in telling.left:
            fields = await self._reach(telling, step)
            telling.held.append(self._courier.sign(message, fields))
        for callback in doubled_and_shuffled(telling.held, message.random):
            await self._courier.report(message, callback)

    async def _among_forgeries(self, telling: Telling) -> None:
        message = telling.message
        for step in telling.left:
            fields = await self._reach(telling, step)
            genuine = self._courier.sign(message, fields)
            if step is telling.story.steps[0]:
                await self._forge(message, genuine, _FORGED_BEFORE)
            delivery = await self._courier.report(message, genuine)
            kinds = _FORGED_AFTER[step.status]
            if delivery is None or not delivery.is_acknowledged:
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
