"""Reading Plivo's list page by page, at the pace that Plivo allows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from plivostatusd.plivo.outcome import Listed, why

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plivostatusd.flows.reconcile.desk import Desk
    from plivostatusd.plivo.query import ListQuery
    from plivostatusd.plivo.record import MessageRecord

    OnPage = Callable[[Sequence[MessageRecord]], Awaitable[bool]]


class ListUnreadable(Exception):
    """The list could not be read to its end: nothing can be said of what is not in it."""


class ListUnanswered(ListUnreadable):
    """Plivo does not answer: whoever needs the list had better wait."""


async def read(desk: Desk, query: ListQuery, on_page: OnPage, *, pages_max: int) -> None:
    """
    Hand every page of *query* to *on_page*, until that says False or the list ends.

    Raises `ListUnreadable`: a page had rows that name no message, or there are more than
    *pages_max*; and `ListUnanswered`.
    """
    page: ListQuery | None = query
    for _ in range(pages_max):
        if page is None:
            return
        turn_s = await desk.list_pace.wait()
        await desk.brake.released()
        desk.list_pace.spend(turn_s)
        listing = await desk.list(page)
        if not isinstance(listing, Listed):
            raise ListUnanswered(why(listing))
        if not await on_page(listing.records):
            return
        if listing.unreadable:
            raise ListUnreadable("rows that name no message")
        page = None if listing.next is None else replace(page, page=listing.next)
    if page is not None:
        raise ListUnreadable("it is longer than what is looked for")
