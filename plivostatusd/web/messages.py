"""`GET /messages/{id}` and `GET /messages`, and cancelling one by hand."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from plivostatusd.store.reader import Filter
from plivostatusd.web import filters, shapes
from plivostatusd.web.handler import Handler, NotFound, bad_query, count

PAGE_MAX: Final = 1_000
_PAGE: Final = 100
_NAMES: Final = (*filters.NAMES, "limit", "cursor")
_CURSOR: Final = re.compile(r"(\d{1,18})\.(\d{1,18})", re.ASCII)


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
        wanted = _filter(query)
        async with self.one_at_a_time(wanted.limit):
            page = await self.services.reader.messages(wanted)
            why = self.services.outbox.why_waiting
            shaped = (shapes.message(record, pending_reason=why) for record in page.records)
            cursor = f"{page.next[0]}.{page.next[1]}" if page.next else None
            await self.reply_list("messages", shaped, next=cursor)


def _filter(query: dict[str, str]) -> Filter:
    limit = count(query, "limit", _PAGE, PAGE_MAX)
    return replace(filters.messages(query), limit=limit, before=_key(query))


def _key(query: dict[str, str]) -> tuple[int, int] | None:
    if "cursor" not in query:
        return None
    match = _CURSOR.fullmatch(query["cursor"])
    if match is None:
        bad_query("cursor", "expected the next of an earlier page")
    return int(match[1]), int(match[2])
