"""
Keeping refused callbacks for an operator to look into, without a cost to those that are not.

A refusal is answered first. What is kept is one a second at most, and none while the store is busy
or fails: nobody waits for it, and nobody hears that it could not be kept.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from plivostatusd.domain import callback, signature
from plivostatusd.domain.errors import CallbackUnreadable
from plivostatusd.log import get_logger
from plivostatusd.store import refusals
from plivostatusd.store.refusals import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivostatusd.domain.signature import Signed
    from plivostatusd.store.writer import Writer

log = get_logger()

EVERY_S: Final = 1.0
WAITING_MAX: Final = 16
"""With more jobs than these waiting for the store, a refused callback is not worth a place."""


class Refusals:
    """Takes refused callbacks; made and used on the event loop."""

    def __init__(self, writer: Writer, *, now_us: Callable[[], int]) -> None:
        self._writer = writer
        self._now_us = now_us
        self._kept_s = float("-inf")

    def take(self, request: Signed, reason: str) -> None:
        """Keep *request*, if it is worth it, once whoever runs now has answered it."""
        if time.monotonic() - self._kept_s >= EVERY_S and not self._is_busy():
            asyncio.get_running_loop().call_soon(self._keep, request, reason, self._now_us())

    def _is_busy(self) -> bool:
        return self._writer.failing or self._writer.waiting > WAITING_MAX

    def _keep(self, request: Signed, reason: str, now_us: int) -> None:
        now_s = time.monotonic()
        uuid = _message_uuid(request)
        if uuid is None or now_s - self._kept_s < EVERY_S:
            return
        self._kept_s = now_s
        refused = Refused(
            received_us=now_us,
            reason=reason,
            message_uuid=uuid,
            raw=refusals.verbatim(request),
        )
        self._writer.submit(lambda tx: refusals.keep(tx, refused)).add_done_callback(_dropped)


def _message_uuid(request: Signed) -> str | None:
    """Give the message that a signed request names; None for what is not signed, or names none."""
    if not signature.is_signed(request):
        return None
    try:
        return callback.parse(signature.parameters(request)[0]).message_uuid
    except CallbackUnreadable:
        return None


def _dropped(done: asyncio.Future[None]) -> None:
    if not done.cancelled() and done.exception() is not None:
        log.info("refused_callback_dropped")
