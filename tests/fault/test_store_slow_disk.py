"""A disk whose syncs take longer than callbacks may wait."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.fault.shim_vfs import Shim
from tests.fault.spool_calls import Calls
from tests.fault.store_house import opened, small
from tests.fault.store_promises import Promise, broken, not_whole
from tests.fault.store_story import callback
from tests.fault.vfs_watch import Watch

SYNC_S = 0.6
COMMIT_TIMEOUT_S = 0.2
ANSWER_S_MAX = 2.0


@pytest.mark.expect_log("spool_entered.*too long")
def test_a_slow_disk(tmp_path: Path) -> None:
    """Callbacks are answered from the spool in time; what is committed late is there once."""
    received = [callback(number, "queued") for number in range(1, 6)]

    async def story() -> None:
        house = await opened(tmp_path, commit_timeout_s=COMMIT_TIMEOUT_S)
        watch.sync_delay_s = SYNC_S
        for one in received:
            began_s = time.monotonic()
            assert (await house.ingest.receive(*one)).spooled
            assert time.monotonic() - began_s < ANSWER_S_MAX
        watch.sync_delay_s = 0.0
        await house.drained()
        await house.close()

    with small(), Shim(Watch()) as watch, Calls(tmp_path / "spool").in_place():
        asyncio.run(story())
    promises = [Promise("recorded", request.digest) for request, _ in received]
    assert [] == [*broken(tmp_path / "status.db", promises), *not_whole(tmp_path / "status.db")]
