"""Reads moments as people say them: `2h`, `7d` (ago), `today`, or RFC 3339. For argparse."""

from __future__ import annotations

import re
import time
from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_AGO = re.compile(r"(\d{1,9})\s*([smhdw])(?:\s+ago)?", re.ASCII)
_DAYS = {"today": 0, "yesterday": 1}
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(text: str, *, now_s: Callable[[], float] = time.time) -> str:
    """
    Spell *text* as RFC 3339 in UTC. A time without a zone is UTC; a day is its midnight.

    Raises:
        ArgumentTypeError: it is no moment.
    """
    try:
        return _rfc3339(_ago(text, now_s()) or datetime.fromisoformat(text.strip()))
    except (ValueError, OverflowError):
        raise ArgumentTypeError(
            f"{text!r} is no moment; want 30m, 2h, 7d (ago) or 2026-11-23T09:00:00Z"
        ) from None


def _ago(text: str, now_s: float) -> datetime | None:
    match = _AGO.fullmatch(text.strip())
    now = datetime.fromtimestamp(int(now_s), UTC)
    if text in _DAYS:
        midnight = now.replace(hour=0, minute=0, second=0)
        return midnight - timedelta(days=_DAYS[text])
    if match is None:
        return None
    return now - timedelta(**{_UNITS[match[2]]: int(match[1])})


def _rfc3339(instant: datetime) -> str:
    aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return aware.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
