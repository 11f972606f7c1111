"""Callbacks without end while the daemon is restarted, killed, stuck, reinstalled."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.boot.load import Load
from tests.boot.machine import until
from tests.boot.service import UNIT, Service

Figure = Callable[[str], None]
TIMES = 3


def back(service: Service, restarts: int) -> None:
    """Wait until systemd has started it *restarts* times by itself, and it is up."""
    until(lambda: service.restarts >= restarts, "systemd starts it again")
    until(lambda: service.shown("ActiveState") == "active", "it is up")


def restart(service: Service, load: Load) -> None:
    """Restart it, again and again."""
    for _ in range(TIMES):
        service.restart()
        load.goes_on()


def kill(service: Service, load: Load) -> None:
    """Kill it, again and again."""
    for _ in range(TIMES):
        before = service.restarts
        service.machine.run("systemctl", "kill", "-s", "KILL", UNIT)
        back(service, before + 1)
        load.goes_on()


def stick(service: Service, load: Load) -> None:
    """Let it hang until the watchdog has had enough."""
    before = service.restarts
    service.machine.run("kill", "-STOP", str(service.pid))
    back(service, before + 1)
    assert "Watchdog timeout" in service.machine.sh(f"journalctl -u {UNIT}")


def reinstall(service: Service, load: Load) -> None:
    """Install what is installed."""
    service.install(None, "--reinstall")


# After these only who kept an idle connection to the daemon itself has to call again.
ORDERLY = {"restart", "reinstall"}
INCIDENTS = {each.__name__: each for each in (restart, kill, stick, reinstall)}


@pytest.mark.parametrize("incident", INCIDENTS)
def test_no_gap(service: Service, incident: str, figure: Figure) -> None:
    """No caller is refused or hears other than 200; nothing is lost, and nothing doubled."""
    if incident == "stick":
        service.drop_in("[Service]\nWatchdogSec=2s\n")
        service.restart()
    with Load(service) as load:
        INCIDENTS[incident](service, load)
        load.goes_on()
    if incident in ORDERLY:
        assert set(load.met["cut"]) <= {"straight kept"}
    figure(f"{service.machine.suite}: {incident}: {load}")
