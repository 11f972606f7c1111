"""While Plivo refuses the account: the pause, and asking whether it still does."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from plivostatusd.domain.errors import OutboxPaused, StoreUnavailable
from plivostatusd.log import get_logger
from plivostatusd.plivo.outcome import Reachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivostatusd.flows.outbox.answers import Answers
    from plivostatusd.flows.outbox.backlog import Backlog
    from plivostatusd.flows.outbox.gate import Gate
    from plivostatusd.flows.outbox.terms import Api, Terms

log = get_logger()

RETRY_FOR_PASSED: Final = "retry_for passed before Plivo could be reached"


class Probing:
    """Pauses the gate, asks every so often, and opens it again. *resumed* is called then."""

    def __init__(  # noqa: PLR0913 - it is composed of these, once, by the outbox
        self,
        *,
        api: Api,
        gate: Gate,
        answers: Answers,
        backlog: Backlog,
        terms: Terms,
        steady_us: Callable[[], int],
        every_s: float,
        resumed: Callable[[], None],
    ) -> None:
        self.api = api
        self.terms = terms
        self._gate = gate
        self._answers = answers
        self._backlog = backlog
        self._steady_us = steady_us
        self._every_s = every_s
        self._resumed = resumed
        self._paused_us = 0
        self._now = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_ended = False

    def begin(self, reason: str) -> None:
        """Pause because of *reason*, and ask until Plivo takes the account again."""
        if self._gate.paused is not None:
            return
        self._gate.pause(reason)
        self._paused_us = self._steady_us()
        self._answers.tell_all()
        log.error("outbox_paused", reason=reason, hint=OutboxPaused.hint)
        if not self._is_ended:
            self._now.clear()
            self._task = asyncio.get_running_loop().create_task(self._run())

    def hurry(self) -> None:
        """Ask at once: something has changed."""
        self._now.set()

    async def end(self) -> None:
        """Ask no more."""
        self._is_ended = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while not await self._is_over():
            pass
        self._gate.pause(None)
        log.info("outbox_resumed")
        self._resumed()

    async def _is_over(self) -> bool:
        """Wait for the time to ask, ask, and refuse what has waited too long meanwhile."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._every_s):
                await self._now.wait()
        self._now.clear()
        try:
            if isinstance(await self.api.probe(), Reachable):
                return True
            await self._expire()
        except StoreUnavailable:
            pass  # the writer has said so; the next round tries again
        except Exception:
            log.exception("probe_failed")
        return False

    async def _expire(self) -> None:
        """Refuse what is older than `retry_for`, once the pause itself has lasted that long."""
        cutoff_us = self._steady_us() - self.terms.retry_for_us
        if cutoff_us > self._paused_us:
            await self._backlog.expire(cutoff_us, RETRY_FOR_PASSED)
