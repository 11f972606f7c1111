"""What an operator says of a send whose outcome nobody could find out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from plivostatusd.domain import identity
from plivostatusd.log import get_logger
from plivostatusd.store import settling
from plivostatusd.store.submissions import Submission
from plivostatusd.store.writer import overwrite

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivostatusd.flows.outbox.intake import Intake
    from plivostatusd.store.writer import Job, Writer

log = get_logger()


class Settling:
    """
    Writes an operator's word down. *intake* knows the limits that sending once more is under.

    Every method raises `NotUnknown`, `StoreUnavailable` and `Undecided`, and gives None for a
    message that is not there, else the id of the message to look at.
    """

    def __init__(
        self,
        writer: Writer,
        intake: Intake,
        *,
        now_us: Callable[[], int],
        committed: Callable[[], None],
    ) -> None:
        self._writer = writer
        self._intake = intake
        self._now_us = now_us
        self._committed = committed

    async def sent(self, message_id: str, message_uuid: str, *, by: str) -> str | None:
        """Plivo has it, as *message_uuid*. Raises `UuidTaken`, too."""
        now_us = self._now_us()
        return await self._write(
            lambda tx: settling.settle_sent(tx, message_id, message_uuid, now_us, by),
            message_id,
            word="sent",
            by=by,
        )

    async def not_sent(self, message_id: str, *, by: str) -> str | None:
        """It was not sent."""
        now_us = self._now_us()
        return await self._write(
            lambda tx: settling.settle_not_sent(tx, message_id, now_us, by),
            message_id,
            word="not-sent",
            by=by,
        )

    async def send_again(self, message_id: str, *, by: str) -> str | None:
        """Send it as a new message, whose id comes back. Raises `LimitReached`, `TextGone`, too."""
        terms: Submission = self._intake.submission((), self._now_us(), is_list=False, sent_by=by)
        new_id = identity.message_id(terms.now_us, os.urandom(identity.ID_BYTES))
        ref = identity.ref(os.urandom(identity.REF_BYTES))
        found = await self._write(
            lambda tx: settling.send_again(tx, message_id, new_id, ref, terms),
            message_id,
            word="send-again",
            by=by,
        )
        self._committed()
        return new_id if found else None

    async def _write(self, job: Job, message_id: str, *, word: str, by: str) -> str | None:
        if not await self._writer.submit(job, undo=overwrite):
            return None
        log.info("send_settled_by_hand", message_id=message_id, word=word, by=by)
        return message_id
