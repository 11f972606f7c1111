"""Whether Plivo may be called: not while it refuses the account, nor while the outbox is held."""

from __future__ import annotations

import asyncio


class Gate:
    """Shut by a pause or by a hold; open without either. It begins shut, until `open_up`."""

    def __init__(self) -> None:
        self.paused: str | None = None
        self.held: str | None = None
        self._why_not_serving: str | None = "the store has not been read yet"
        self._open = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Say whether a call may be made now."""
        return self._open.is_set()

    @property
    def why_shut(self) -> str | None:
        """Why nothing is sent just now; None when sends are on their way."""
        return self.paused or self.held or self._why_not_serving

    async def opened(self) -> None:
        """Return once a call may be made."""
        await self._open.wait()

    def open_up(self) -> None:
        """Let calls through, unless a pause or a hold is in the way."""
        self._why_not_serving = None
        self._judge()

    def shut_down(self) -> None:
        """Let no call through any more."""
        self._why_not_serving = "the daemon is stopping"
        self._judge()

    def pause(self, reason: str | None) -> None:
        """Shut because of *reason*; None ends the pause."""
        self.paused = reason
        self._judge()

    def hold(self, why: str | None) -> None:
        """Shut until an operator releases it; None is that release."""
        self.held = why
        self._judge()

    def _judge(self) -> None:
        if self.why_shut is None:
            self._open.set()
        else:
            self._open.clear()
