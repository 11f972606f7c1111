"""While Plivo's API fails: everybody waits, longer each time, and it is said once."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from plivostatusd.log import get_logger
from plivostatusd.plivo.outcome import AccountRefused, NotSent, Unknown, why

if TYPE_CHECKING:
    from plivostatusd.plivo.outcome import Finding, Listing

log = get_logger()

FIRST_S: Final = 5.0
ACCOUNT_S: Final = 60.0
LONGEST_S: Final = 600.0
TOLD_S_MAX: Final = 3_600.0


class Brake:
    """Holds questions back. *first_s* is the wait after one failure; it doubles."""

    def __init__(self, *, first_s: float = FIRST_S) -> None:
        self._first_s = first_s
        self._failures = 0
        self._until_s = 0.0
        self._is_released = asyncio.Event()

    @property
    def is_on(self) -> bool:
        """Say whether nothing may be asked just now."""
        return asyncio.get_running_loop().time() < self._until_s

    async def released(self) -> None:
        """Return once something may be asked."""
        loop = asyncio.get_running_loop()
        while (left_s := self._until_s - loop.time()) > 0:
            self._is_released.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._is_released.wait()

    def release(self) -> None:
        """Let the next question through: something has changed, or a person asks."""
        self._until_s = 0.0
        self._is_released.set()

    def note(self, outcome: Finding | Listing) -> bool:
        """Draw the consequences of an answer; True when it can be used."""
        if not isinstance(outcome, AccountRefused | NotSent | Unknown):
            if self._failures:
                log.info("reconcile_resumed")
            self._failures = 0
            self.release()
            return True
        is_news = not self.is_on  # what was asked before fails for the same reason
        self._failures += is_news
        wait_s = min(LONGEST_S, self._first_s * 2.0 ** min(self._failures - 1, 16))
        if isinstance(outcome, AccountRefused):
            wait_s = max(wait_s, self._first_s * ACCOUNT_S / FIRST_S)
        if isinstance(outcome, NotSent) and outcome.retry_after_s is not None:
            wait_s = max(wait_s, min(outcome.retry_after_s, TOLD_S_MAX))
        self._until_s = max(self._until_s, asyncio.get_running_loop().time() + wait_s)
        if is_news and self._failures == 1:
            hint = "Can plivo.api_url be reached (curl -sS), is there an outage, or a new token?"
            log.warning("reconcile_paused", reason=why(outcome), seconds=wait_s, hint=hint)
        return False
