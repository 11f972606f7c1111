"""
Plivo's list of messages: filters and pages. Pure.

Source: plivo.com/docs/messaging/api/message/list-all-messages, read 2026-11. A filter that this
simulator does not apply is refused rather than ignored, so that no caller believes it worked.
"""

from __future__ import annotations

import datetime as dt
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from . import phone
from .message import Message

LIMIT_MAX = 20
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_DAY_US = 24 * 60 * 60 * 1_000_000
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d(\.\d{1,6})?)?", re.ASCII)
_WHOLE = re.compile(r"\d{1,9}", re.ASCII)
_COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "message_time": operator.eq,
    "message_time__gt": operator.gt,
    "message_time__gte": operator.ge,
    "message_time__lt": operator.lt,
    "message_time__lte": operator.le,
}
_FIELDS: dict[str, Callable[[Message], str]] = {
    "from_number": lambda message: message.src,
    "to_number": lambda message: message.dst,
    "message_direction": lambda _: "outbound",
    "message_state": lambda message: message.state,
    "message_type": lambda message: message.kind,
    "error_code": lambda message: "000" if message.state == "delivered" else message.error_code,
    "powerpack_id": lambda message: message.powerpack_uuid,
}
_NUMBERS = frozenset({"from_number", "to_number"})
_PAGING = frozenset({"limit", "offset"})


class FilterError(Exception):
    """A filter cannot be read or is not applied here; the text is what the 400 says."""


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of the list, newest first, and where it lies in it."""

    messages: tuple[Message, ...]
    limit: int
    offset: int
    total: int

    def meta(self, path: str, filters: Mapping[str, str]) -> dict[str, object]:
        """Write Plivo's `meta`, whose links keep the caller's *filters*."""

        def link(offset: int) -> str:
            rest = {name: value for name, value in filters.items() if name not in _PAGING}
            return f"{path}?{urlencode({'limit': self.limit, 'offset': offset, **rest})}"

        following, preceding = self.offset + self.limit, max(0, self.offset - self.limit)
        return {
            "limit": self.limit,
            "offset": self.offset,
            "total_count": self.total,
            "next": link(following) if following < self.total else None,
            "previous": link(preceding) if self.offset else None,
        }


def page_of(messages: Iterable[Message], filters: Mapping[str, str], now_us: int) -> Page:
    """
    Choose from *messages*, which are oldest first, what *filters* ask for.

    Raises:
        FilterError: on the first filter that cannot be applied.
    """
    limit = _whole(filters, "limit", LIMIT_MAX)
    if not 1 <= limit <= LIMIT_MAX:
        message = f"limit should be 1 to {LIMIT_MAX}"
        raise FilterError(message)
    offset = _whole(filters, "offset", 0)
    checks = [_check(name, value) for name, value in filters.items() if name not in _PAGING]
    if not _COMPARISONS.keys() & filters.keys():
        checks.append(lambda message: message.taken_us >= now_us - _DAY_US)
    found = [message for message in messages if all(check(message) for check in checks)]
    found.reverse()
    return Page(tuple(found[offset : offset + limit]), limit, offset, len(found))


def _check(name: str, value: str) -> Callable[[Message], bool]:
    if name in _COMPARISONS:
        compare, at_us = _COMPARISONS[name], _time_us(name, value)
        return lambda message: compare(message.taken_us, at_us)
    if name not in _FIELDS:
        message = f"{name} is no filter of this simulator"
        raise FilterError(message)
    field = _FIELDS[name]
    wanted = (phone.digits(value) or value) if name in _NUMBERS else value
    return lambda message: field(message) == wanted


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
