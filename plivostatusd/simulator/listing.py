"""
Plivo's list of messages: filters, and pages by offset or by cursor. Pure.

Source: plivo.com/docs/messaging/api/message/list-all-messages, read 2026-11. A filter that this
simulator does not apply is refused rather than ignored, so that no caller believes it worked.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from . import phone
from .catalogue import Catalogue, Place
from .message import Message
from .options import Paging

LIMIT_MAX = 20
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_DAY_US = 24 * 60 * 60 * 1_000_000
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d(\.\d{1,6})?)?", re.ASCII)
_WHOLE = re.compile(r"\d{1,9}", re.ASCII)
_CURSOR = re.compile(rb"(\d{1,19})\.(\d{1,9})", re.ASCII)
_FOREVER_US = 1 << 62
_BOUNDS: dict[str, tuple[int | None, int | None]] = {
    # From which microsecond on, counted from the given one, and before which.
    "message_time": (0, 1),
    "message_time__gt": (1, None),
    "message_time__gte": (0, None),
    "message_time__lt": (None, 0),
    "message_time__lte": (None, 1),
}
_FIELDS: dict[str, Callable[[Message], str]] = {
    "from_number": lambda message: message.src,
    "message_direction": lambda _: "outbound",
    "message_state": lambda message: message.state,
    "message_type": lambda message: message.kind,
    "error_code": lambda message: "000" if message.state == "delivered" else message.error_code,
    "powerpack_id": lambda message: message.powerpack_uuid,
}
_NUMBERS = frozenset({"from_number", "to_number"})
_PAGING = frozenset({"limit", "offset", "cursor"})


class FilterError(Exception):
    """A filter cannot be read or is not applied here; the text is what the 400 says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A stretch of the list, newest first, and what to ask for to have the ones beside it."""

    messages: tuple[Message, ...]
    limit: int
    following: Mapping[str, str | int] | None
    preceding: Mapping[str, str | int] | None = None
    counts: Mapping[str, int]

    def meta(self, path: str, filters: Mapping[str, str]) -> dict[str, object]:
        """Write Plivo's `meta`, whose links keep the caller's *filters*."""
        rest = {name: value for name, value in filters.items() if name not in _PAGING}

        def link(where: Mapping[str, str | int] | None) -> str | None:
            if where is None:
                return None
            return f"{path}?{urlencode({'limit': self.limit, **where, **rest})}"

        ends = {"next": link(self.following), "previous": link(self.preceding)}
        return {"limit": self.limit, **self.counts, **ends}


def page_of(
    catalogue: Catalogue, filters: Mapping[str, str], now_us: int, paging: Paging = "offset"
) -> Page:
    """
    Choose from *catalogue* what *filters* ask for.

    Raises:
        FilterError: on the first filter that cannot be applied.
    """
    limit = _whole(filters, "limit", LIMIT_MAX)
    if not 1 <= limit <= LIMIT_MAX:
        message = f"limit should be 1 to {LIMIT_MAX}"
        raise FilterError(message)
    offset = _whole(filters, "offset", 0)
    if paging == "offset":
        return _from_offset(_found(catalogue, filters, now_us), limit, offset)
    if offset:  # 0 means the first page, and the SDK always says so
        message = "offset: this list goes on by cursor"
        raise FilterError(message)
    return _from_cursor(_found(catalogue, filters, now_us, _cursor(filters)), limit)


def _from_offset(found: list[Message], limit: int, offset: int) -> Page:
    total = len(found)
    end = max(0, total - offset)
    return Page(
        messages=tuple(reversed(found[max(0, end - limit) : end])),
        limit=limit,
        following={"offset": offset + limit} if offset + limit < total else None,
        preceding={"offset": max(0, offset - limit)} if offset else None,
        counts={"offset": offset, "total_count": total},
    )


def _from_cursor(found: list[Message], limit: int) -> Page:
    """Begin with the newest: what is newer than the cursor was not found."""
    messages = tuple(reversed(found[-limit:]))
    following = {"cursor": _spelled(messages[-1].place)} if len(found) > limit else None
    return Page(messages=messages, limit=limit, following=following, counts={})


def _found(
    catalogue: Catalogue, filters: Mapping[str, str], now_us: int, before: Place | None = None
) -> list[Message]:
    """Give what all filters let through, oldest first; look only where it can be."""
    since_us, until_us = _window(filters, now_us)
    end = (until_us, 0) if before is None else min(before, (until_us, 0))
    dst = filters.get("to_number")
    stretch = catalogue.between((since_us, 0), end, dst and _number(dst))
    applied = {"limit", "offset", *_BOUNDS, "to_number", *(["cursor"] if before else [])}
    checks = [_check(name, filters[name]) for name in filters if name not in applied]
    for check in checks:
        stretch = [message for message in stretch if check(message)]
    return stretch


def _window(filters: Mapping[str, str], now_us: int) -> tuple[int, int]:
    """Read the time filters as one stretch; without any it is the last day."""
    at_us = {name: _time_us(name, filters[name]) for name in _BOUNDS if name in filters}
    since_us = [at + more for name, at in at_us.items() if (more := _BOUNDS[name][0]) is not None]
    until_us = [at + more for name, at in at_us.items() if (more := _BOUNDS[name][1]) is not None]
    first_us = 0 if at_us else now_us - _DAY_US
    return max(since_us, default=first_us), min(until_us, default=_FOREVER_US)


def _check(name: str, value: str) -> Callable[[Message], bool]:
    if name not in _FIELDS:
        message = f"{name} is no filter of this simulator"
        raise FilterError(message)
    field = _FIELDS[name]
    wanted = _number(value) if name == "from_number" else value
    return lambda message: field(message) == wanted


def _number(value: str) -> str:
    return phone.digits(value) or value


def _spelled(place: Place) -> str:
    """Make a cursor: nobody but this list should read anything into it."""
    return base64.urlsafe_b64encode(b"%d.%d" % place).decode("ascii")


def _cursor(filters: Mapping[str, str]) -> Place | None:
    if "cursor" not in filters:
        return None
    try:
        match = _CURSOR.fullmatch(base64.urlsafe_b64decode(filters["cursor"].encode()))
    except binascii.Error:
        match = None
    if match is None:
        message = "cursor should be one of an earlier page"
        raise FilterError(message)
    return int(match[1]), int(match[2])


def _whole(filters: Mapping[str, str], name: str, default: int) -> int:
    value = filters.get(name, str(default))
    if not _WHOLE.fullmatch(value):
        message = f"{name} should be a whole number"
        raise FilterError(message)
    return int(value)


def _time_us(name: str, value: str) -> int:
    """Read a UTC time as Plivo spells it."""
    if not _TIME.fullmatch(value):
        message = f"{name} should be YYYY-MM-DD HH:MM[:ss[.uuuuuu]]"
        raise FilterError(message)
    try:
        moment = dt.datetime.fromisoformat(value).replace(tzinfo=dt.UTC)
    except ValueError as exc:
        message = f"{name} is not a time"
        raise FilterError(message) from exc
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)
