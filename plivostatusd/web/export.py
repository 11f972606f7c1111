"""`GET /export`: every message with its history, a line each, oldest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from plivostatusd.log import get_logger
from plivostatusd.web import shapes
from plivostatusd.web.filters import instant
from plivostatusd.web.lines import LinesHandler

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

log = get_logger()

PAGE: Final = 32
"""Messages that are read and spelled in one go: some two milliseconds, in which nobody else is."""
_EARLIEST_US: Final = -(2**63)


class ExportHandler(LinesHandler):
    """Streams messages as `GET /messages/{id}` has each; the last line counts them."""

    _exported = 0

    async def get(self) -> None:
        """Begin; what is made from now on is not in it."""
        query = self.query("since", "until")
        since_us, until_us = instant(query, "since"), instant(query, "until")
        now_us = self.services.now_us()
        until_us = now_us if until_us is None else min(until_us, now_us)
        with self.services.followers.one_more():
            await self.stream(self._messages(since_us, until_us))
        log.info("messages_exported", by=self.asker.name, count=self._exported)

    async def _messages(
        self, since_us: int | None, until_us: int
    ) -> AsyncGenerator[dict[str, Any] | list[dict[str, Any]], None]:
        reader = self.services.reader
        key = (_EARLIEST_US if since_us is None else since_us - 1, 2**63 - 1)
        while records := await reader.messages_between(key, until_us, PAGE):
            events = await reader.events_of_all([record["row"] for record in records])
            why = self.services.outbox.why_waiting
            yield [
                shapes.message(record, events[record["row"]], pending_reason=why)
                for record in records
            ]
            self._exported += len(records)
            key = (records[-1]["created_at"], records[-1]["row"])
        yield {"done": True, "exported": self._exported}
