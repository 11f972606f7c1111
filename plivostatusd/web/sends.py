"""`POST /send`: what this machine's programs ask for, and how each outcome is answered."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from plivostatusd.domain import message
from plivostatusd.domain.errors import BadSend
from plivostatusd.log import get_logger
from plivostatusd.web import shapes
from plivostatusd.web.handler import Handler, NotFound, seconds
from plivostatusd.web.problems import MEDIA_TYPE, problem

if TYPE_CHECKING:
    from plivostatusd.store.reader import Record
    from plivostatusd.store.submissions import Accepted

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
        request = message.parse(self.fields(), default_sender=self.services.default_sender)
        outbox = self.services.outbox
        accepted = await outbox.accept(request, sent_by=self.asker.name, key=key)
        log.debug(
            "send_recorded",
            request_id=self.request_id,
            message_id=accepted.ids[0],
            messages=len(accepted.ids),
            repeated=accepted.repeated,
            sent_by=self.asker.name,
        )
        if not accepted.repeated:
            # While the daemon stops nobody calls Plivo: what is recorded is answered as it stands.
            patience_s = 0.0 if self.services.stopping.is_set() else wait_s
            await outbox.answered(accepted.ids, within_s=patience_s)
        if accepted.is_list:
            await self._answer_list(accepted)
        else:
            await self._answer_one(accepted.ids[0])

    def _key(self) -> str | None:
        """Read the Idempotency-Key; one that cannot be kept is refused, not ignored."""
        key = self.request.headers.get("Idempotency-Key")
        if key is not None and not _KEY.fullmatch(key):
            raise BadSend((("Idempotency-Key", "expected 1 to 255 visible ASCII characters"),))
        return key

    async def _answer_one(self, message_id: str) -> None:
        record = await self._record(message_id)
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

    async def _answer_list(self, accepted: Accepted) -> None:
        why = self.services.outbox.why_waiting
        records = [await self._record(message_id) for message_id in accepted.ids]
        shaped = [shapes.message(record, pending_reason=why) for record in records]
        self.reply({"messages": shaped}, 202)

    async def _record(self, message_id: str) -> Record:
        record = await self.services.reader.message(message_id)
        if record is None:  # retention is shorter than the life of an Idempotency-Key
            raise NotFound
        return record
