"""
`GET /events`: every event in commit order, by cursor, by long poll, or as an event stream.

`since` is a place to begin where there is no cursor yet.

A cursor names the store's generation and the event's number there, so that one from another store,
or from behind retention, is answered 410 instead of with a gap that nobody sees.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from tornado.iostream import StreamClosedError

from plivostatusd.domain.errors import Refusal, StoreUnavailable
from plivostatusd.web import shapes
from plivostatusd.web.documents import spell
from plivostatusd.web.filters import instant
from plivostatusd.web.handler import bad_query, count, seconds
from plivostatusd.web.lasting import LastingHandler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plivostatusd.store.reader import Record

PAGE_MAX: Final = 1_000
_PAGE: Final = 100
WAIT_S_MAX: Final = 60.0
_CURSOR: Final = re.compile(r"([0-9a-f]{8})-(\d{1,18})", re.ASCII)
_END: Final = "end"
_NAMES: Final = ("after", "since", "limit", "wait")


class CursorGone(Refusal):
    """The cursor is of another store, or what follows it is no longer kept."""

    http_status = 410
    slug = "cursor-gone"
    title = "What follows this cursor is not kept here"
    hint = "Begin again without a cursor, or with after=end"


class CursorHandler(LastingHandler):
    """What whoever goes along the events has in common: `_generation` is the store's."""

    async def _enter(self) -> None:
        self._generation = await self.services.reader.generation()

    def _spelled(self, cursor: int) -> str:
        return f"{self._generation}-{cursor}"

    def _shaped(self, found: list[Record]) -> Iterator[dict[str, Any]]:
        return (shapes.happening(record, self._generation) for record in found)

    async def _start(self, after: str | None, since_us: int | None = None) -> int:
        oldest, newest = await self.services.reader.event_bounds()
        if after is None and since_us is not None:
            return await self.services.reader.first_event_since(since_us) - 1
        if after is None:
            return oldest - 1
        if after == _END:
            return newest
        generation, number = _parts(after)
        if generation != self._generation or not oldest - 1 <= int(number) <= newest:
            raise CursorGone
        return int(number)


def _parts(cursor: str) -> tuple[str, str]:
    """Take a cursor apart: the store's generation, and the event's number."""
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        bad_query("after", "expected a cursor of an earlier answer, or end")
    return match[1], match[2]


class EventsHandler(CursorHandler):
    """Follows the events."""

    async def get(self) -> None:
        """Give a page from the cursor on, or stream from there."""
        query = self.query(*_NAMES)
        limit = count(query, "limit", _PAGE, PAGE_MAX, least=0)
        wait_s = seconds(query, "wait", 0.0, WAIT_S_MAX)
        since_us = instant(query, "since")
        if query.get("after", _END) != _END:
            _parts(query["after"])  # a client that sends nonsense hears so, resuming or not
        after = self.request.headers.get("Last-Event-ID") or query.get("after")
        await self._enter()
        cursor = await self._start(after, since_us)
        if "text/event-stream" in self.request.headers.get("Accept", ""):
            with self.services.followers.one_more():
                await self._stream(cursor)
        elif wait_s and limit:
            with self.services.followers.one_more():
                await self._page(cursor, limit, wait_s)
        else:
            await self._page(cursor, limit, 0.0)

    async def _page(self, cursor: int, limit: int, wait_s: float) -> None:
        if wait_s:
            await self._next(cursor, 1, wait_s)
        async with self.one_at_a_time(limit):
            found = await self.services.reader.events_after(cursor, limit) if limit else []
            last = found[-1]["cursor"] if found else cursor
            await self.reply_list("events", self._shaped(found), next=self._spelled(last))

    async def _next(self, cursor: int, limit: int, within_s: float) -> list[Record]:
        """Give what follows *cursor*; when nothing does, wait for it, *within_s* at most."""
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + within_s
        while True:
            # Asked for before looking: what is committed in between is not slept through.
            changed = asyncio.ensure_future(self.services.writer.changed())
            try:
                found = await self.services.reader.events_after(cursor, limit)
                left_s = ends_s - loop.time()
                if found or left_s <= 0 or self.over.done():
                    return found
                await asyncio.wait(
                    {changed, self.over}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                changed.cancel()

    async def _stream(self, cursor: int) -> None:
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("X-Accel-Buffering", "no")
        # An error has no answer any more: the stream ends, and its reader resumes it.
        with suppress(StreamClosedError, StoreUnavailable):
            await self.flush()
            while not self.over.done():
                found = await self._next(cursor, _PAGE, self.services.heartbeat_s)
                for record in found:
                    self.write(self._spell(record))
                    cursor = record["cursor"]
                if not found:
                    self.write(": still here\n\n")
                await self.flush()

    def _spell(self, record: dict[str, Any]) -> str:
        shaped = shapes.happening(record, self._generation)
        return f"id: {shaped['cursor']}\nevent: event\ndata: {spell(shaped)}\n"
