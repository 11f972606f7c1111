"""What the last process left, and what waited too long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from plivostatusd.log import get_logger
from plivostatusd.store import entries

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivostatusd.flows.outbox.answers import Answers
    from plivostatusd.store.transaction import Transaction
    from plivostatusd.store.writer import Writer

log = get_logger()

TOO_OLD_AT_START: Final = "older than send.retry_for when the daemon started"


class Backlog:
    """Settles entries for which Plivo is not called any more. Raises `StoreUnavailable`."""

    def __init__(self, writer: Writer, answers: Answers, *, now_us: Callable[[], int]) -> None:
        self._writer = writer
        self._answers = answers
        self._now_us = now_us

    async def recover(
        self, *, retry_for_us: int | None, look_after_us: int, steady_us: int
    ) -> None:
        """
        At a start: what was being called is unknown, what is too old is refused.

        Nothing is too old while the outbox is held (*retry_for_us* is None): an operator decides.
        """
        now_us, look_us = self._now_us(), steady_us + look_after_us
        while ids := await self._writer.submit(lambda tx: entries.recover(tx, now_us, look_us)):
            for message_id in ids:
                log.warning("send_unknown", message_id=message_id, reason="found claimed at start")
        if retry_for_us is not None:
            await self.expire(steady_us - retry_for_us, TOO_OLD_AT_START)

    async def expire(self, before_us: int, reason: str) -> None:
        """Refuse what was accepted before the steady instant *before_us* and is still pending."""
        now_us = self._now_us()

        def job(transaction: Transaction) -> list[str]:
            return entries.expire(transaction, before_us, reason, now_us)

        while ids := await self._writer.submit(job):
            for message_id in ids:
                log.warning("send_expired", message_id=message_id, reason=reason)
                self._answers.tell(message_id)
