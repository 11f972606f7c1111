"""
`POST /replay`: events that are stored, a page at a time, up to the newest that there was at first.

As `/events`, for operators alone: what goes through their hands goes to somebody for the second
time. A page asks for the next with its `next` as `after` and its `end` as `until`, so that a replay
comes to an end however much is recorded meanwhile.
"""

from __future__ import annotations

from plivostatusd.web.events import CursorHandler
from plivostatusd.web.filters import instant
from plivostatusd.web.handler import bad_query, count

PAGE_MAX = 1_000
_PAGE = 500


class ReplayHandler(CursorHandler):
    """Gives one page: from a moment on, behind a cursor, or from the oldest event."""

    is_for_operators = True

    async def post(self) -> None:
        """Give it; `left` is how many are still to come, or a little more."""
        query = self.query("since", "after", "until", "limit")
        limit = count(query, "limit", _PAGE, PAGE_MAX)
        since_us = instant(query, "since")
        if since_us is not None and "after" in query:
            bad_query("since", "says nothing beside after")
        await self._enter()
        reader = self.services.reader
        if since_us is None:
            cursor = await self._start(query.get("after"))
        else:
            cursor = await reader.first_event_since(since_us) - 1
        end = await self._start(query.get("until", "end"))
        async with self.one_at_a_time(limit):
            found = await reader.events_after(cursor, limit)
            found = [record for record in found if record["cursor"] <= end]
            last = found[-1]["cursor"] if found else max(cursor, end)
            await self.reply_list(
                "events",
                self._shaped(found),
                next=self._spelled(last),
                end=self._spelled(end),
                left=max(0, end - last),
            )
