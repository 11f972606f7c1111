"""`POST /send`: what this machine's programs ask for, and how each outcome is answered."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from plivostatusd.domain import message
from plivostatusd.domain.errors import BadSend
from plivostatusd.log import get_logger
from plivostatusd.store import submissions
from plivostatusd.web import shapes
from plivostatusd.web.handler import Handler, NotFound, seconds
from plivostatusd.web.problems import MEDIA_TYPE, problem

if TYPE_CHECKING:
    from plivostatusd.store.reader import Record
    from plivostatusd.store.submissions import Accepted, Submission

log = get_logger()

WAIT_S_MAX: Final = 60.0
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)


class SendHandler(Handler):
    """Records a send before it answers, then waits a little for Plivo's word on it."""

    async def post(self) -> None:
        """Take one message, or one a recipient of a list."""
        query = self.query("wait")
        wait_s = seconds(query, "wait", self.services.wait_s, WAIT_S_MAX)
        key = self._key()
        # While the daemon stops nobody calls Plivo: what is recorded is answered as it stands.
        is_awaited = wait_s > 0 and not self.services.stopping.is_set()
        fields = self.fields()
        async with self.services.turn(is_long=isinstance(fields.get("to"), list)):
            request = await self._parse(fields)
            accepted = await self.services.outbox.accept(
                request, sent_by=self.asker.name, key=key, is_awaited=is_awaited
            )
        log.debug(
            "send_recorded",
            request_id=self.request_id,
            message_id=accepted.ids[0],
            messages=len(accepted.ids),
            repeated=accepted.repeated,
            sent_by=self.asker.name,
        )
        new = accepted.new
        if (
            new
            and is_awaited
            and await self.services.outbox.answered(accepted.ids, within_s=wait_s)
        ):
            new = None  # it is no longer known how they stand
        if accepted.is_list:
            await self._answer_list(accepted, new)
        else:
            await self._answer_one(accepted, new)

    async def _parse(self, fields: message.Fields) -> message.Request:
        """Check a send, giving way between the steps of a long list. Raises `BadSend`."""
        steps = message.parsing(fields, default_sender=self.services.default_sender)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                request: message.Request = end.value
                return request
            await self.services.give_way()

    def _key(self) -> str | None:
        """Read the Idempotency-Key; one that cannot be kept is refused, not ignored."""
        key = self.request.headers.get("Idempotency-Key")
        if key is not None and not _KEY.fullmatch(key):
            raise BadSend((("Idempotency-Key", "expected 1 to 255 visible ASCII characters"),))
        return key

    async def _answer_one(self, accepted: Accepted, new: Submission | None) -> None:
        if new is not None:
            record, events = submissions.as_recorded(new, new.intents[0])
        else:
            record = await self._record(accepted.ids[0])
            events = await self.services.reader.events_of(record["row"])
        shaped = shapes.message(record, events, pending_reason=self.services.outbox.why_waiting)
        if record["current_status"] != "refused":
            self.set_header("Location", f"/messages/{record['id']}")
            self.reply(shaped, 202)
            return
        refused = problem(
            "refused",
            422,
            record["reason"] or "refused",
            "The message was refused",
            plivo_status=record["plivo_status"],
            plivo_error=record["plivo_error"],
            id=record["id"],
            message=shaped,
        )
        self.reply(refused, 422, MEDIA_TYPE)

    async def _answer_list(self, accepted: Accepted, new: Submission | None) -> None:
        async with self.one_at_a_time(len(accepted.ids)):
            why = self.services.outbox.why_waiting
            if new is not None:
                first, _ = submissions.as_recorded(new, new.intents[0])
                alike = shapes.message(first, pending_reason=why)
                shaped = ({**alike, "id": each.id, "to": each.draft.to} for each in new.intents)
            else:
                records = await self._records(accepted)
                shaped = (shapes.message(each, pending_reason=why) for each in records)
            await self.reply_list("messages", shaped, status=202)

    async def _records(self, accepted: Accepted) -> list[Record]:
        found = await self.services.reader.messages_of(accepted.ids)
        return [found.get(each) or await self._record(each) for each in accepted.ids]

    async def _record(self, message_id: str) -> Record:
        record = await self.services.reader.message(message_id)
        if record is None:  # retention is shorter than the life of an Idempotency-Key
            raise NotFound
        return record
