"""Time as the simulator lives it: the wall clock for stamps, shortened waits for stories."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Callable

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
# Plivo's own example of `message_time` carries this offset, so a reader that ignores offsets is
# found out here. Source: plivo.com/docs/messaging/api/messages, read 2026-11.
_API_ZONE = dt.timezone(dt.timedelta(hours=5, minutes=30))


def wall_us() -> int:
    """Tell the time, in microseconds since the Unix epoch, UTC."""
    return time.time_ns() // 1_000


class Pace:
    """A clock, and waits divided by one factor."""

    def __init__(self, speed: float, now_us: Callable[[], int] = wall_us) -> None:
        self._speed = speed
        self.now_us = now_us

    def shortened_s(self, plivo_s: float) -> float:
        """Say how long *plivo_s* seconds of Plivo's take here, in seconds."""
        return plivo_s / self._speed

    async def wait(self, plivo_s: float) -> None:
        """Wait *plivo_s* of Plivo's seconds."""
        await asyncio.sleep(self.shortened_s(plivo_s))

    async def wait_until(self, start_s: float, plivo_s: float) -> None:
        """Wait until *plivo_s* of Plivo's seconds after the loop's time *start_s*."""
        loop_s = asyncio.get_running_loop().time()
        await asyncio.sleep(max(0.0, start_s + self.shortened_s(plivo_s) - loop_s))


def callback_time(at_us: int | None) -> str:
    """Spell a time as callbacks do: UTC without saying so, microseconds; blank when not known."""
    return "" if at_us is None else f"{_moment(at_us):%Y-%m-%d %H:%M:%S.%f}"


def api_time(at_us: int | None) -> str | None:
    """Spell a time as the API does: with its offset, which is not UTC's."""
    if at_us is None:
        return None
    return _moment(at_us).astimezone(_API_ZONE).isoformat(" ", "microseconds")


def _moment(at_us: int) -> dt.datetime:
    return _EPOCH + dt.timedelta(microseconds=at_us)
