"""`GET /messages/{id}` and `GET /messages`, and cancelling one by hand."""

from __future__ import annotations

import re
from typing import Final

from plivostatusd.domain import phone, times
from plivostatusd.store.reader import Filter
from plivostatusd.web import shapes
from plivostatusd.web.handler import Handler, NotFound, bad_query, count

PAGE_MAX: Final = 1_000
_PAGE: Final = 100
_NAMES: Final = ("status", "to", "from", "tag", "since", "until", "final", "limit", "cursor")
_CURSOR: Final = re.compile(r"(\d{1,18})\.(\d{1,18})", re.ASCII)
_FINAL: Final = {"true": True, "1": True, "false": False, "0": False}


class OneMessage(Handler):
    """Answers with one message and its history."""

    async def reply_with(self, message_id: str) -> None:
        """Answer with the message as it stands."""
        reader = self.services.reader
        record = await reader.message(message_id)
        if record is None:
            raise NotFound
        events = await reader.events_of(record["row"])
        why = self.services.outbox.why_waiting
        self.reply(shapes.message(record, events, pending_reason=why))


class MessageHandler(OneMessage):
    """`GET /messages/{id}`."""

    async def get(self, message_id: str) -> None:
        """Find it by our id or by Plivo's."""
        self.query()
        await self.reply_with(message_id)


class CancelHandler(OneMessage):
    """`POST /messages/{id}/cancel`, for operators."""

    is_for_operators = True

    async def post(self, message_id: str) -> None:
        """Cancel a message that is still pending."""
        if not await self.services.outbox.cancel(message_id, by=self.asker.name):
            raise NotFound
        await self.reply_with(message_id)


class MessagesHandler(Handler):
    """The list, newest first."""

    async def get(self) -> None:
        """Give one page, and where the next one begins."""
        query = self.query(*_NAMES)
        page = await self.services.reader.messages(_filter(query))
        why = self.services.outbox.why_waiting
        shaped = [shapes.message(record, pending_reason=why) for record in page.records]
        cursor = f"{page.next[0]}.{page.next[1]}" if page.next else None
        self.reply({"messages": shaped, "next": cursor})


def _filter(query: dict[str, str]) -> Filter:
    return Filter(
        status=query.get("status"),
        to=_number(query, "to"),
        sender=_number(query, "from"),
        tag=query.get("tag"),
        since_us=instant(query, "since"),
        until_us=instant(query, "until"),
        final=_truth(query, "final"),
        limit=count(query, "limit", _PAGE, PAGE_MAX),
        before=_key(query),
    )


def _number(query: dict[str, str], name: str) -> str | None:
    """Read a number; in a query, too, a plus that was not escaped comes as a blank."""
    if name not in query:
        return None
    number = phone.normalise_sender(query[name])
    if number is None:
        bad_query(name, "expected a number such as +14155552323")
    return number


def instant(query: dict[str, str], name: str) -> int | None:
    """Read an instant; the plus of its offset may have come as a blank."""
    if name not in query:
        return None
    text = query[name]
    if "T" in text:
        text = text.replace(" ", "+")
    value = times.parse(text)
    if value is None:
        bad_query(name, "expected RFC 3339, such as 2026-11-23T09:00:00Z")
    return value


def _truth(query: dict[str, str], name: str) -> bool | None:
    if name not in query:
        return None
    if query[name] not in _FINAL:
        bad_query(name, "expected true or false")
    return _FINAL[query[name]]


def _key(query: dict[str, str]) -> tuple[int, int] | None:
    if "cursor" not in query:
        return None
    match = _CURSOR.fullmatch(query["cursor"])
    if match is None:
        bad_query("cursor", "expected the next of an earlier page")
    return int(match[1]), int(match[2])
