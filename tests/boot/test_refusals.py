"""What is wrong at a start: status says it in a sentence, with what to type; nothing spins."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.boot.machine import until
from tests.boot.service import CONF, CREDENTIALS, STORE, UNIT, Service

RESTARTS_A_SECOND_MAX = 1.0


@dataclass(frozen=True)
class Fault:
    """One way to be wrong: what breaks it, what status must say, what mends it."""

    breaks: str
    says: tuple[str, ...]
    mends: str
    ends: bool = False
    """Failed for good, visibly; what only waits for something is tried again."""


SQUAT = "systemd-run --quiet --unit=squatter python3 -m http.server --bind 127.0.0.1 8787"

FAULTS = {
    "unknown key": Fault(
        f"sed -i '/^auth_id/a nonsense = 1' {CONF}",
        ("nonsense", "Type: plivostatusd -t"),
        f"sed -i /nonsense/d {CONF}",
        ends=True,
    ),
    "no account": Fault(
        f"sed -i.bak 's/^auth_id =.*/auth_id =/' {CONF}",
        ("auth_id", "Type: plivostatusd -t"),
        f"mv {CONF}.bak {CONF} && chgrp plivostatusd {CONF}",
        ends=True,
    ),
    "unreadable configuration": Fault(
        f"chmod 0600 {CONF}", (CONF, "Type: chgrp plivostatusd"), f"chmod 0640 {CONF}", ends=True
    ),
    "unreadable token": Fault(
        "install -m 0600 /dev/stdin /srv/token </etc/hostname;"
        f" sed -i 's|^#auth_token_file =.*|auth_token_file = /srv/token|' {CONF}",
        ("auth_token_file", "Type: chgrp plivostatusd /srv/token"),
        f"sed -i 's|^auth_token_file =.*|#auth_token_file =|' {CONF}",
        ends=True,
    ),
    "no configuration": Fault(f"mv {CONF} {CONF}.bak", (CONF,), f"mv {CONF}.bak {CONF}", ends=True),
    "no token for TCP": Fault(
        f"mv {CREDENTIALS}/api_token /srv/",
        (f"{CREDENTIALS}/api_token", "dpkg-reconfigure plivostatusd"),
        "dpkg-reconfigure -f noninteractive plivostatusd",
        ends=True,
    ),
    "store of somebody else": Fault(
        f"chown root {STORE}/status.db",
        (f"{STORE}/status.db", "Type: chown plivostatusd"),
        f"chown plivostatusd {STORE}/status.db",
    ),
    "spool of somebody else": Fault(
        f"chown root: {STORE}/spool && chmod 0700 {STORE}/spool",
        (f"{STORE}/spool", "Type: chown"),
        f"chown plivostatusd: {STORE}/spool",
    ),
    "port taken": Fault(SQUAT, ("127.0.0.1:8787", "Type: ss "), "systemctl stop squatter"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_refusal(service: Service, name: str) -> None:
    """Status says what is wrong and what to type; nothing spins; mended, it starts."""
    fault, machine = FAULTS[name], service.machine
    machine.run("systemctl", "stop", UNIT)
    machine.sh(fault.breaks)
    try:
        if name == "port taken":
            until(lambda: service.is_listening(8787), "somebody else has the port")
        machine.run("systemctl", "start", UNIT, status=None)
        until(lambda: says(service, fault.says), f"status says {fault.says}")
        if fault.ends:
            assert "failed" == service.shown("SubState")  # and not: auto-restart
            assert UNIT in machine.sh("systemctl --failed --no-legend")
        else:
            assert spins(service) <= RESTARTS_A_SECOND_MAX
    finally:
        machine.sh(fault.mends)
    machine.sh(f"systemctl reset-failed {UNIT}; systemctl restart {UNIT}")
    assert service.answers()


def says(service: Service, words: tuple[str, ...]) -> bool:
    """Look whether one line of the status has all *words*."""
    return any(all(word in line for word in words) for line in service.status().splitlines())


def spins(service: Service) -> float:
    """Watch how often a second it is started again."""
    before = service.restarts
    service.machine.run("sleep", "2")  # that nothing happens can only be waited for
    return (service.restarts - before) / 2


def test_no_token_of_the_account(service: Service) -> None:
    """Without the token it does not start, has not failed, and status names the file."""
    service.machine.run("rm", f"{CREDENTIALS}/auth_token")
    service.restart()
    assert ("inactive", "no") == (service.shown("ActiveState"), service.shown("ConditionResult"))
    assert f"{CREDENTIALS}/auth_token" in service.status()
    assert "" == service.machine.sh("systemctl --failed --no-legend")


def test_it_takes_up_a_mended_machine_by_itself(service: Service) -> None:
    """What waits for a port takes it as soon as it is free, and nobody has to come."""
    service.machine.run("systemctl", "stop", UNIT)
    service.machine.sh(SQUAT)
    until(lambda: service.is_listening(8787), "somebody else has the port")
    service.machine.run("systemctl", "start", UNIT, status=None)
    service.machine.run("systemctl", "stop", "squatter")
    until(service.answers, "it has started")
