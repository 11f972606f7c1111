"""plivostatusd.daemon.watch, before systemd's notification socket."""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from plivostatusd.daemon.watch import Watch
from plivostatusd.domain.worker import Worker
from plivostatusd.host.service_manager import ServiceManager
from tests.unit.systemd_place import Systemd, systemd


@pytest.fixture
def played(tmp_path: Path) -> Iterator[Systemd]:
    """Play systemd."""
    with systemd(tmp_path) as one:
        yield one


def heard(played: Systemd) -> list[str]:
    """Give what was said since the last time."""
    played.settle()
    said = [each for each in played.said if each != "BARRIER=1"]
    played.said.clear()
    return said


def test_alive_and_how(played: Systemd) -> None:
    """While nobody is stuck the watchdog is fed; how things are is told when it changes."""
    sentences = iter(["well", "well", "better"])
    watch = Watch(played.service(), [Worker("pulse")], lambda: next(sentences))
    for _ in range(3):
        watch.look()
    fed = "WATCHDOG=1"
    assert [fed, "STATUS=well", fed, fed, "STATUS=better"] == heard(played)


@pytest.mark.expect_log("worker_stuck")
def test_a_worker_is_stuck(played: Systemd) -> None:
    """A stuck worker is named once, and the watchdog hears nothing until it goes on."""
    worker = Worker("store-writer")
    worker.is_back_by(time.monotonic() - 1, "the jobs of a batch")
    watch = Watch(played.service(), [Worker("pulse"), worker], lambda: "well")
    watch.look()
    watch.look()
    assert ["STATUS=well"] == heard(played)
    worker.waits_for("jobs")
    watch.look()
    assert ["WATCHDOG=1"] == heard(played)


async def test_often_enough(played: Systemd) -> None:
    """A limit is fed several times within itself."""
    environ = {"NOTIFY_SOCKET": played.address, "WATCHDOG_USEC": "30000"}
    manager = ServiceManager(environ, pid=os.getpid())
    fed: list[float] = []
    enough = asyncio.Event()

    def sentence() -> str:
        fed.append(time.monotonic())
        if len(fed) == 4:
            enough.set()
        return "well"

    task = asyncio.ensure_future(Watch(manager, [], sentence).run())
    await enough.wait()
    task.cancel()
    await asyncio.wait([task])
    assert ["WATCHDOG=1"] * 4 == [each for each in heard(played) if each == "WATCHDOG=1"]
