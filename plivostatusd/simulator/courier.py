"""
Carries callbacks to their url, and tries again as Plivo does.

Source: Plivo's support pages, "retries" (8 s time-out; +60, +120, +240 s unless 2xx), read 2026-11.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from . import phone
from .background import Background
from .callback import Callback
from .delivery import Delivery
from .fate import Fate, fate_of
from .message import Message
from .options import Options
from .pace import Pace
from .signer import Signed, signed_request
from .wire import CallFailed, Wire

TIMEOUT_S = 8.0
RETRIES_S = (60.0, 120.0, 240.0)


class Courier:
    """Signs, sends, and notes every answer with the message it is about."""

    def __init__(
        self, options: Options, pace: Pace, background: Background, say: Callable[[str], None]
    ) -> None:
        self._options = options
        self._pace = pace
        self._background = background
        self._say = say
        self._wire = Wire(
            timeout_s=max(pace.shortened_s(TIMEOUT_S), options.timeout_s_min),
            ca_file=options.ca_file,
            connect_to=options.connect_to,
        )

    def sign(self, message: Message, fields: Mapping[str, str]) -> Callback:
        """Make the callback that carries *fields* to the message's own url."""
        tokens = self._options.auth_tokens
        return Callback(
            fields,
            signed_request(
                message.method,
                message.url,
                fields,
                tokens,
                main_token=self._options.main_auth_tokens or tokens,
                signatures=self._options.signatures,
                source=message.random,
            ),
        )

    async def report(self, message: Message, callback: Callback) -> Delivery | None:
        """
        Call once and return how that ended; retries, where needed, go on behind.

        None when nothing was called: the callback is lost, or late and goes on behind as well.
        """
        fate = fate_of(self._options, message.lot, callback.sequence)
        if fate.is_lost:
            message.lost.add(callback.sequence)
            self._say(f"lost {phone.mask(message.dst)} {message.uuid} {callback.fields['Status']}")
            return None
        if fate.late_s:
            self._background.start(self._call_late(message, callback, fate))
            return None
        return await self._call(message, callback, fate)

    async def _call_late(self, message: Message, callback: Callback, fate: Fate) -> None:
        await self._pace.wait(fate.late_s)
        await self._call(message, callback, fate)

    async def _call(self, message: Message, callback: Callback, fate: Fate) -> Delivery:
        copies = [self._again(message, callback)] if fate.is_doubled else []
        calls = [self.carry(message, each) for each in (callback, *copies)]
        first, *_ = await asyncio.gather(*calls)
        message.first_called.set()
        if not first.is_acknowledged:
            self._background.start(self._insist(message, callback))
        return first

    async def carry(
        self, message: Message, callback: Callback, *, attempt: int = 1, forgery: str = ""
    ) -> Delivery:
        """Call exactly once and note the answer."""
        answer, trouble = await self._outcome(callback.request)
        delivery = Delivery(
            uuid=message.uuid,
            status=callback.fields["Status"],
            sequence=callback.sequence,
            request=callback.request,
            ended_us=self._pace.now_us(),
            answer=answer,
            trouble=trouble,
            attempt=attempt,
            forgery=forgery,
        )
        message.deliveries.append(delivery)
        self._say(_line(message, delivery))
        return delivery

    async def _outcome(self, request: Signed) -> tuple[int | None, str]:
        try:
            return await self._wire.call(request), ""
        except CallFailed as exc:
            return None, str(exc)

    async def _insist(self, message: Message, callback: Callback) -> None:
        for attempt, delay_s in enumerate(RETRIES_S, start=2):
            await self._pace.wait(delay_s)
            callback = self._again(message, callback)
            if (await self.carry(message, callback, attempt=attempt)).is_acknowledged:
                return

    def _again(self, message: Message, callback: Callback) -> Callback:
        """Say the same again: signed anew, or to the byte."""
        if self._options.retry_nonce == "same":
            return callback
        return self.sign(message, callback.fields)


def _line(message: Message, delivery: Delivery) -> str:
    verb = f"forged ({delivery.forgery})" if delivery.is_forged else "called"
    again = f" attempt {delivery.attempt}" if delivery.attempt > 1 else ""
    answer = delivery.answer or delivery.trouble
    return f"{verb} {phone.mask(message.dst)} {message.uuid} {delivery.status}{again}: {answer}"
