"""
The watch: tells systemd that the daemon is alive, and `systemctl status` how it is.

It feeds the watchdog as long as the event loop turns, which is what runs it, and no worker is stuck
in its own work. Waiting for somebody else (a lock, a disk, Plivo) is no reason to be killed: it
would be waited for again, and what is in memory would be lost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from plivostatusd.log import get_logger

if TYPE_CHECKING:
    from plivostatusd.domain.worker import Worker
    from plivostatusd.host.service_manager import ServiceManager

log = get_logger()

STATUS_EVERY_S: Final = 10.0
FEEDS_PER_LIMIT: Final = 3


class Watch:
    """Watches *workers* for *manager*; *sentence* says how things are."""

    def __init__(
        self, manager: ServiceManager, workers: Sequence[Worker], sentence: Callable[[], str]
    ) -> None:
        self._manager = manager
        self._workers = workers
        self._sentence = sentence
        self._said = ""
        self._stuck: set[str] = set()

    async def run(self) -> None:
        """Watch until cancelled."""
        limit_s = self._manager.watchdog_s
        every_s = STATUS_EVERY_S if limit_s is None else limit_s / FEEDS_PER_LIMIT
        while True:
            self.look()
            await asyncio.sleep(min(every_s, STATUS_EVERY_S))

    def look(self) -> None:
        """Look once, and say what there is to say."""
        if not self._find_stuck():
            self._manager.alive()
        sentence = self._sentence()
        if sentence != self._said:
            self._said = sentence
            self._manager.status(sentence)

    def _find_stuck(self) -> bool:
        now_s = time.monotonic()
        stuck = {each.name: doing for each in self._workers if (doing := each.stuck_in(now_s))}
        for name in stuck.keys() - self._stuck:
            hint = "The service is restarted when it goes on; journalctl -u plivostatusd"
            log.critical("worker_stuck", worker=name, doing=stuck[name], hint=hint)
        self._stuck = set(stuck)
        return bool(stuck)
