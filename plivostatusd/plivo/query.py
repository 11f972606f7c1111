"""
What one call asks Plivo to list: a frozen record, made by a flow and read by the client. Pure.

Owns how the question is spelled and how far Plivo's link to the next page is trusted.

Source: plivo.com/docs/messaging/api/message/list-all-messages, read 2026-11: times are UTC;
without them only the last 24 hours are listed, and never more than the last 90 days; numbers are
matched as E.164; newest first; 20 rows a page; 20 requests a minute.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

LIMIT_MAX = 20
_LINK_CHARS_MAX = 4_096
_NAMES_MAX = 32
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR = re.compile(r"[!-~]{1,2048}", re.ASCII)
_OFFSET = re.compile(r"\d{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True, repr=False)
class Page:
    """Where a list goes on; opaque to whoever passes it from one answer to the next question."""

    name: Literal["cursor", "offset"]
    value: str

    def __repr__(self) -> str:
        return f"Page({self.name})"

    def is_after(self, other: Page | None) -> bool:
        """Say whether this page leads on from *other*, so that no list goes round in a ring."""
        if self.name == "cursor":
            return self != other
        before = other.value if other is not None and other.name == "offset" else "0"
        return int(self.value) > int(before)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """
    Messages whose time is in [*since_us*, *until_us*), one page of them.

    *sender* and *recipient* are E.164 (a sender may be a name or a short code too). *page* is what
    the page before gave as ``next``. Pages by offset shift when messages are added: choose
    *until_us* in the past, and take a row that comes twice for one. The ``repr`` shows no number.

    Raises:
        ValueError: the window is empty or *limit* is not 1 to ``LIMIT_MAX``.
    """

    since_us: int
    until_us: int
    sender: str | None = field(default=None, repr=False)
    recipient: str | None = field(default=None, repr=False)
    direction: Literal["inbound", "outbound"] | None = "outbound"
    page: Page | None = None
    limit: int = LIMIT_MAX

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= LIMIT_MAX:
            raise ValueError(f"limit: want 1 to {LIMIT_MAX}")
        if self.since_us >= self.until_us:
            raise ValueError("since_us: want less than until_us")

    def parameters(self) -> dict[str, str]:
        """Spell the question as Plivo's query parameters."""
        wanted = {
            "message_time__gte": _spelled(self.since_us),
            "message_time__lt": _spelled(self.until_us),
            "from_number": self.sender,
            "to_number": self.recipient,
            "message_direction": self.direction,
            "limit": str(self.limit),
        }
        if self.page is not None:
            wanted[self.page.name] = self.page.value
        return {name: value for name, value in wanted.items() if value is not None}


def next_page(link: str) -> Page | None:
    """
    Find the one parameter of Plivo's *link* that says where the list goes on; None without one.

    Nothing else of it is used. Its host is not ours to choose, we know our filters better than it
    does, and to the SDK some names mean "send this, credentials and all, to another host". An
    offset beside a cursor is left away: it would hold the list on its first page (SDK 4.63.0,
    base.py).
    """
    if len(link) > _LINK_CHARS_MAX:
        return None
    try:
        found = dict(parse_qsl(urlsplit(link).query, max_num_fields=_NAMES_MAX))
    except ValueError:
        return None
    if "cursor" in found:
        return Page("cursor", found["cursor"]) if _CURSOR.fullmatch(found["cursor"]) else None
    offset = found.get("offset", "")
    return Page("offset", offset) if _OFFSET.fullmatch(offset) else None


def _spelled(instant_us: int) -> str:
    """Spell an instant as Plivo's filters take it: UTC without saying so, microseconds."""
    moment = _EPOCH + timedelta(microseconds=instant_us)
    return moment.replace(tzinfo=None).isoformat(" ", "microseconds")
