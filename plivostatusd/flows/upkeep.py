"""Retention: what the configuration says is forgotten, a small step a transaction, once an hour."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from plivostatusd.domain.errors import StoreUnavailable
from plivostatusd.domain.worker import Worker
from plivostatusd.log import get_logger
from plivostatusd.store import nonces, pruning, refusals

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivostatusd.store.transaction import Transaction
    from plivostatusd.store.writer import Writer

log = get_logger()

EVERY_S: Final = 3600.0
ABSENCE_S: Final = 86_400.0
HOLD_OFF_S: Final = 86_400.0
LATE_S_MAX: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long what is kept, in seconds; 0 keeps it. *keys* are the tokens still trusted."""

    text_s: float
    messages_s: float
    keys: frozenset[str]


class Upkeep:
    """Forgets by and by. `retention` may be replaced at a reload."""

    def __init__(self, writer: Writer, retention: Retention, *, now_us: Callable[[], int]) -> None:
        self.retention = retention
        self._writer = writer
        self._now_us = now_us
        self.worker = Worker("upkeep")

    async def run(self, *, after_absence_s: float = 0.0) -> None:
        """
        Do a round now and each hour, until cancelled.

        After a long absence it begins later: a clock that is wrong when a machine starts is set
        right within the day, as a rule, and what was deleted by then is gone.
        """
        if after_absence_s > ABSENCE_S:
            log.info("upkeep_postponed", seconds=HOLD_OFF_S)
            await self._rest(HOLD_OFF_S)
        while True:
            self.worker.waits_for("the store")
            try:
                await self.round()
            except StoreUnavailable:
                log.info("upkeep_postponed")
            except Exception:
                log.exception("upkeep_failed")
            await self._rest(EVERY_S)

    async def _rest(self, seconds: float) -> None:
        now_s = asyncio.get_running_loop().time()
        self.worker.is_back_by(now_s + seconds + LATE_S_MAX, "its pause")
        await asyncio.sleep(seconds)

    async def round(self) -> None:
        """Forget everything that is due. Raises `StoreUnavailable`."""
        now_us, retention = self._now_us(), self.retention
        if retention.text_s:
            text_us = now_us - int(retention.text_s * 1_000_000)
            await self._all(lambda tx: pruning.blank_texts(tx, text_us))
        await self._all(lambda tx: pruning.delete_keys(tx, now_us))
        await self._all(nonces.file_some)
        refused_us = now_us - _refused_kept_us(retention.text_s)
        await self._all(lambda tx: refusals.delete_old(tx, refused_us))
        if retention.messages_s:
            before_us = now_us - int(retention.messages_s * 1_000_000)
            await self._all(lambda tx: pruning.delete_messages(tx, before_us))
            await self._all(lambda tx: pruning.delete_unnamed_events(tx, before_us))
            await self._all(lambda tx: nonces.delete_dead(tx, before_us, retention.keys))

    async def _all(self, step: Callable[[Transaction], bool]) -> None:
        while await self._writer.submit(step):
            pass


def _refused_kept_us(text_s: float) -> int:
    """Keep a refused callback no longer than a text: somebody's text may stand in it."""
    return min(refusals.KEPT_US, int(text_s * 1_000_000) or refusals.KEPT_US)
