"""Writing down what nobody else knows: how a claim ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from plivostatusd.domain.errors import StoreUnavailable

if TYPE_CHECKING:
    from plivostatusd.store.writer import Job, Writer

STORE_RETRY_S: Final = 0.5
"""How long to let a store rest that refused a write."""


class Ledger:
    """Writes to the store, however long that refuses."""

    def __init__(self, writer: Writer, *, retry_s: float = STORE_RETRY_S) -> None:
        self._writer = writer
        self._retry_s = retry_s

    async def write(self, job: Job) -> Any:
        """Run *job* until it is committed. Raises `StoreUnavailable` only once that is closed."""
        while True:
            try:
                return await self._writer.submit(job)
            except StoreUnavailable:
                if self._writer.closed:
                    raise
                await asyncio.sleep(self._retry_s)
