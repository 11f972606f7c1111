"""
Instants as whole microseconds since the Unix epoch, UTC, and their spellings.

Pure: whoever needs the present instant is handed a clock.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_WITHOUT_ZONE = datetime(1970, 1, 1)  # noqa: DTZ001 - for times that are UTC and do not say so
_MICROSECOND = timedelta(microseconds=1)
_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2}[ Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?)\s*([Zz]|[+-]\d{2}:?\d{2})?", re.ASCII
)


def rfc3339(instant_us: int) -> str:
    """Spell *instant_us* as RFC 3339 in UTC; the fraction is left out when it is zero."""
    moment = _EPOCH + timedelta(microseconds=instant_us)
    return moment.replace(tzinfo=None).isoformat() + "Z"


def parse(text: str) -> int | None:
    """
    Read RFC 3339, or Plivo's `YYYY-mm-dd HH:MM:SS[.ffffff][offset]`; None when it is neither.

    A time without a zone is taken as UTC, which Plivo's pages suggest and do not promise. What
    comes back can be spelt by `rfc3339`; digits behind the microseconds are dropped.
    Source: plivo.com/docs/messaging/api/message/message-status-callbacks, read 2026-11.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        return None
    local, zone = match.groups()
    try:
        if zone is None:
            return (datetime.fromisoformat(local) - _EPOCH_WITHOUT_ZONE) // _MICROSECOND
        moment = datetime.fromisoformat(local + zone.upper())
        return (moment.astimezone(UTC) - _EPOCH) // _MICROSECOND
    except (ValueError, OverflowError):
        return None
