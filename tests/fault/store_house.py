"""
Store, spool and the flow that takes callbacks in, as a process has them: built in one place.

`small` makes the house's constants small, so that a short story meets checkpoints and does not
wait while the store rests.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

import pytest
import structlog

from plivostatusd.domain.errors import StartRefused, StoreUnavailable
from plivostatusd.domain.signature import Key, Verifier
from plivostatusd.flows.ingest import Ingest
from plivostatusd.store.handle import Handle
from plivostatusd.store.keep import Keep
from plivostatusd.store.receipts import Arrival, Recorded
from plivostatusd.store.spool import Spool
from plivostatusd.store.writer import Writer
from plivostatusd.web.metrics import Metrics
from tests.unit.store_place import Clock

PUBLIC_URL: Final = "https://sms.example.com"
TOKEN: Final = "a-token-of-the-account"
CHECKPOINT_PAGES: Final = 25
RESERVE_BYTES: Final = 4096
_VERIFIER: Final = Verifier([Key.of("auth_token 1", TOKEN)], [PUBLIC_URL], minimum="url-only")
_METRICS: Final = Metrics()


class NotOpened(Exception):
    """The house could not be opened: its process ends, and has promised nothing."""


@dataclass
class House:
    """Open, until `close`."""

    writer: Writer
    keep: Keep
    ingest: Ingest

    async def drained(self) -> None:
        """Wait until the store has taken all that the spool holds."""
        async with asyncio.timeout(20):
            while self.keep.is_spooling:  # noqa: ASYNC110 - the daemon waits for no such event
                await asyncio.sleep(0.001)

    async def close(self) -> None:
        """Stop in the daemon's order."""
        await self.keep.close()
        await self.writer.close()


async def opened(folder: Path, *, commit_timeout_s: float = 20.0) -> House:
    """Open what is in *folder*, made if need be. Raises `NotOpened`."""
    writer = Writer(Handle(folder / "status.db"), commit_timeout_s=commit_timeout_s)
    try:
        with suppress(StoreUnavailable):  # the spool goes ahead
            await writer.open()
    except StartRefused as error:
        await writer.close()
        raise NotOpened(error) from error
    spool = Spool(folder / "spool", reserve_bytes=RESERVE_BYTES)
    try:
        spool.open()
    except OSError as error:
        await writer.close()
        raise NotOpened(error) from error

    def drained(arrival: Arrival, recorded: Recorded) -> None:
        ingest.recorded(arrival, recorded)

    keep = Keep(writer, spool, drained=drained)
    ingest = Ingest(keep.put, _VERIFIER, _METRICS, queue_max=1000, now_us=Clock())
    keep.start()
    return House(writer, keep, ingest)


@contextmanager
def small() -> Iterator[None]:
    """
    Let checkpoints come often, waits end at once, and the log hold warnings without a print.

    Of nonces two are filed at once, and two runs merged; of a roll one message is written a step.
    """
    structlog.configure(
        processors=[_drop], wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING)
    )
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CHECKPOINT_PAGES", "CHECKPOINT_PAGES_IN_A_RUSH"):
            patch.setattr(f"plivostatusd.store.database.{name}", CHECKPOINT_PAGES)
        patch.setattr("plivostatusd.store.nonce_runs.FILED_AT_ONCE", 2)
        patch.setattr("plivostatusd.store.nonces.RUNS_PER_LEVEL", 2)
        patch.setattr("plivostatusd.store.keep.RETRY_S", 0.001)
        patch.setattr("plivostatusd.store.writer.UNDO_RETRY_S", 0.001)
        patch.setattr("plivostatusd.store.rolls.STEP", 1)
        yield


def _drop(*_: object) -> NoReturn:
    """End a line's way: tests/logbook.py has heard it by now."""
    raise structlog.DropEvent
