"""Whether Plivo may be called: not while it refuses the account, nor while an operator holds."""

from __future__ import annotations

import asyncio


class Gate:
    """Shut by a pause or by a hold; open without either. It begins shut, until `open_up`."""

    def __init__(self) -> None:
        self.paused: str | None = None
        self.held = False
        self._is_serving = False
        self._open = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Say whether a call may be made now."""
        return self._open.is_set()

    @property
    def why_shut(self) -> str | None:
        """Why nothing is sent just now; None when sends are on their way."""
        return self.paused or ("held by an operator" if self.held else None)

    async def opened(self) -> None:
        """Return once a call may be made."""
        await self._open.wait()

    def open_up(self) -> None:
        """Let calls through, unless a pause or a hold is in the way."""
        self._is_serving = True
        self._judge()

    def shut_down(self) -> None:
        """Let no call through any more."""
        self._is_serving = False
        self._judge()

    def pause(self, reason: str | None) -> None:
        """Shut because of *reason*; None ends the pause."""
        self.paused = reason
        self._judge()

    def hold(self, *, held: bool) -> None:
        """Shut on an operator's word, or end that."""
        self.held = held
        self._judge()

    def _judge(self) -> None:
        if self._is_serving and self.why_shut is None:
            self._open.set()
        else:
            self._open.clear()
