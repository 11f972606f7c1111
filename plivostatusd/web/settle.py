"""`POST /messages/{id}/settle`: an operator's word on a send whose outcome is unknown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from plivostatusd.domain import identity
from plivostatusd.domain.errors import BadSend
from plivostatusd.web.handler import NotFound
from plivostatusd.web.messages import OneMessage

if TYPE_CHECKING:
    from plivostatusd.domain.message import Fields

WORDS: Final = ("sent", "not-sent", "send-again")


class BadSettlement(BadSend):
    """A settlement with problems, each a pair of field and sentence."""

    slug = "bad-settlement"
    title = "The settlement was not understood"


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an operator says: *message_uuid* is set with the word `sent`, and only then."""

    word: str
    message_uuid: str


def parse(fields: Fields) -> Settlement:
    """Read a settlement. Raises `BadSettlement` with everything that is wrong."""
    word, message_uuid = fields.get("outcome"), fields.get("message_uuid")
    problems = [
        (name[:64], "is not understood here")
        for name in fields
        if name not in {"outcome", "message_uuid"}
    ]
    if word not in WORDS:
        problems.append(("outcome", f"expected one of {', '.join(WORDS)}"))
    elif word == "sent" and not (
        isinstance(message_uuid, str) and identity.is_message_uuid(message_uuid)
    ):
        problems.append(("message_uuid", "expected the message_uuid that Plivo shows"))
    elif word != "sent" and message_uuid is not None:
        problems.append(("message_uuid", f"says nothing beside {word}"))
    if problems:
        raise BadSettlement(tuple(problems))
    return Settlement(str(word), str(message_uuid or ""))


class SettleHandler(OneMessage):
    """Settles one message; of one that is sent again, the new message is the answer."""

    is_for_operators = True

    async def post(self, message_id: str) -> None:
        """Write the operator's word down."""
        said = parse(self.fields())
        settling, by = self.services.outbox.settling, self.asker.name
        if said.word == "sent":
            name = await settling.sent(message_id, said.message_uuid, by=by)
        elif said.word == "not-sent":
            name = await settling.not_sent(message_id, by=by)
        else:
            name = await settling.send_again(message_id, by=by)
        if name is None:
            raise NotFound
        await self.reply_with(name)
