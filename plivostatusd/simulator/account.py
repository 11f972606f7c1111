"""
The account that the simulator plays: what it took, what it was asked, and how it answers.

Owns the messages and starts their stories. Knows nothing of HTTP: `api` turns calls into its
methods, `simulator` composes the two, and may do so more than once, one after the other. Under the
same seed the same messages get the same identifiers, nonces and fates, in whatever order they come.
"""

from __future__ import annotations

import asyncio
import enum
import random
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from . import listing, phone
from .background import Background
from .callback import fields_of
from .catalogue import Catalogue
from .courier import Courier
from .delivery import Delivery
from .limits import Limits
from .message import Message
from .options import Options
from .pace import Pace
from .send import Send
from .story import Answer, Story, story_of
from .teller import Teller

# From a powerpack: the number that its pool "chose".
POOL_NUMBER = "14155550100"


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A call that the API was asked, and its answer; None when the connection was dropped."""

    method: str
    path: str
    answer: int | None
    dst: str = ""


class Failing(enum.Enum):
    """How an outage shows in a call."""

    # Plivo's own shape, with the outage's status and error.
    REFUSED = enum.auto()
    # The status, and a page of something that stands before Plivo.
    GARBLED = enum.auto()
    # The connection is closed instead of an answer.
    CUT = enum.auto()
    # No answer, for as long as the caller has patience.
    SILENT = enum.auto()


@dataclass(frozen=True, slots=True)
class Outage:
    """While it lasts every call fails, or sends alone, or questions alone; nothing is taken."""

    status: int = 503
    error: str = "refused by the simulator"
    only: Literal["sends", "questions"] | None = None
    failing: Failing = Failing.REFUSED

    def strikes(self, method: str) -> bool:
        """Say whether a call by *method* fails."""
        return self.only in {None, "sends" if method == "POST" else "questions"}


class Account:
    """One account's messages, oldest first, and the calls about them."""

    def __init__(self, options: Options, pace: Pace, say: Callable[[str], None]) -> None:
        self.options = options
        # A fixed default would give the same uuids after each restart, to a daemon that keeps its.
        given = options.seed
        self.seed = random.SystemRandom().getrandbits(32) if given is None else given
        self.messages: dict[str, Message] = {}
        self.requests: list[ApiRequest] = []
        self.outage: Outage | None = None
        self.background = Background()
        self._pace = pace
        self._say = say
        self._catalogue = Catalogue()
        self._limits = Limits(pace.shortened_s)
        self._courier = Courier(options, pace, self.background, say)
        self._teller = Teller(options, pace, self._courier, self.background)
        self._limited: set[str] = set()

    def resume(self) -> None:
        """Go on with the stories that a stop has cut off. Retries it cut off are given up."""
        self._teller.resume()

    def admit(self, *, is_list: bool) -> bool:
        """Say whether Plivo's limits, if they are enforced, let one more call pass."""
        now_s = asyncio.get_running_loop().time()
        return not self.options.limits or self._limits.admit(now_s, is_list=is_list)

    def take(self, asked: Send, requester_ip: str) -> list[Message]:
        """Take a send: a message for each recipient, each with its story under way."""
        taken = []
        for dst in asked.recipients:
            story = story_of(dst)
            message = self.add(asked, dst, requester_ip, story)
            self._teller.begin(message, story)
            taken.append(message)
        return taken

    def add(self, asked: Send, dst: str, requester_ip: str, story: Story | None = None) -> Message:
        """Know a message without telling any story of it."""
        # A source of its own, so that one message's nonces do not depend on another's timing.
        lot = f"{self.seed}/{dst}/{self._catalogue.count_to(dst)}"
        source = random.Random(lot)
        taken_us = self._pace.now_us()
        message = Message(
            uuid=str(uuid.UUID(int=source.getrandbits(128), version=4)),
            number=len(self.messages),
            lot=lot,
            src=asked.src or POOL_NUMBER,
            dst=dst,
            taken_us=taken_us,
            random=source,
            story=story,
            text=asked.text,
            kind=asked.kind,
            url=asked.url,
            method=self.options.method or asked.method,
            powerpack_uuid=asked.powerpack_uuid,
            requester_ip=requester_ip,
            times_us={"queued": taken_us},
        )
        self.messages[message.uuid] = message
        self._catalogue.add(message)
        told = f", story {story.digits}: {story.summary}" if story else ""
        self._say(f"taken {phone.mask(dst)} {message.uuid}{told}")
        return message

    async def callback(
        self, message_uuid: str, status: str, *, error_code: str, sequence: int | None
    ) -> Delivery:
        """Report *status* by one genuine call; see :meth:`Simulator.callback`."""
        message = self.messages[message_uuid]
        if sequence is None or sequence > message.sequence:
            sequence = message.change(status, self._pace.now_us(), error_code, sequence)
        fields = fields_of(message, status, sequence, error_code)
        return await self._courier.carry(message, self._courier.sign(message, fields))

    def answer_to(self, recipients: Iterable[str]) -> Answer:
        """Say how a send is answered: as the first recipient with something special wants it."""
        answers = (self._answer_for(dst) for dst in recipients)
        return next((each for each in answers if each is not Answer.ACCEPTED), Answer.ACCEPTED)

    def _answer_for(self, dst: str) -> Answer:
        answer = story_of(dst).answer
        if answer is not Answer.LIMITED_ONCE:
            return answer
        if dst in self._limited:
            return Answer.ACCEPTED
        self._limited.add(dst)
        return answer

    def page(self, filters: Mapping[str, str]) -> listing.Page:
        """
        List what was taken.

        Raises:
            FilterError: *filters* ask for what this simulator cannot do.
        """
        now_us = self._pace.now_us()
        return listing.page_of(self._catalogue, filters, now_us, self.options.paging)
