"""
Being there: the heartbeat in the store, and what the last process's heartbeat tells.

It promises that a start knows how long nobody was there (to within `every_s` after a crash), that a
time too long for Plivo's own retries is remembered until it is filled, and that whatever the last
process waited for is waited for by this one's clock.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from plivostatusd.domain.errors import StoreUnavailable
from plivostatusd.domain.worker import Worker
from plivostatusd.log import get_logger
from plivostatusd.store import asks, entries, pulse

if TYPE_CHECKING:
    from plivostatusd.host.clock import Clock
    from plivostatusd.store.pulse import Beat, Past
    from plivostatusd.store.transaction import Transaction
    from plivostatusd.store.writer import Writer

log = get_logger()

EVERY_S: Final = 60.0
EVERY_S_MIN: Final = 1.0
GAP_US_MIN: Final = 300_000_000
"""Plivo calls 0, 60, 180 and 420 s after a change: what is shorter loses nothing, with a margin."""
ASK_US_MAX: Final = 366 * 86_400_000_000
"""A little above the longest `reconcile.silence_final`."""
STEP_US_MIN: Final = 1_000_000
LATE_S_MAX: Final = 30.0


class Pulse:
    """One process's heartbeat. `every_s` may be changed at a reload."""

    def __init__(self, writer: Writer, clock: Clock, *, every_s: float) -> None:
        self.every_s = every_s
        self._writer = writer
        self._clock = clock
        self._past: Past
        self._begun: set[Beat] = set()
        self._drift_us = 0
        self.worker = Worker("pulse")

    async def begin(self) -> Past:
        """Say that we are there, and learn what was before. Raises `StoreUnavailable`."""
        past: Past = await self._writer.submit(self._begin)
        away_s = None if past.away_us is None else round(past.away_us / 1e6, 3)
        log.info("store_entered", away_seconds=away_s, last_stop_clean=past.was_clean)
        return past

    def _begin(self, transaction: Transaction) -> Past:
        wall_us, steady_us = self._clock.wall_us(), self._clock.steady_us()
        past = pulse.begin(transaction, wall_us, steady_us)
        is_begun = past.heartbeat in self._begun
        self._begun.add((wall_us, steady_us))
        if is_begun:  # an earlier attempt was committed, whatever was said of it
            return self._past
        entries.reset_clock(transaction, steady_us, past.drift_us)
        asks.reset_clock(transaction, steady_us, past.drift_us, ASK_US_MAX)
        if past.away_us is not None and past.away_us > GAP_US_MIN:
            pulse.open_gap(transaction, wall_us - past.away_us, wall_us)
        self._past = past
        return past

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            now_s = asyncio.get_running_loop().time()
            self.worker.is_back_by(now_s + self.every_s + LATE_S_MAX, "its pause")
            await asyncio.sleep(self.every_s)
            self.worker.waits_for("the store")
            self._notice_step()
            try:
                await self._writer.submit(self._beat)
            except StoreUnavailable:
                continue  # the writer has said so
            except Exception:
                log.exception("heartbeat_failed")

    async def end(self) -> None:
        """Say that we stop in good order. Raises `StoreUnavailable`."""
        await self._writer.submit(
            lambda tx: pulse.end(tx, self._clock.wall_us(), self._clock.steady_us())
        )

    def _beat(self, transaction: Transaction) -> None:
        pulse.beat(transaction, self._clock.wall_us(), self._clock.steady_us())

    def _notice_step(self) -> None:
        """Say that the wall clock was set: times in the records before and after do not compare."""
        drift_us = self._clock.wall_us() - self._clock.steady_us()
        if abs(drift_us - self._drift_us) > STEP_US_MIN:
            log.info("clock_stepped", seconds=round((drift_us - self._drift_us) / 1e6, 3))
        self._drift_us = drift_us
