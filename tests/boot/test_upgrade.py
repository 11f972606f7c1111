"""A later version over this one, with changes on both sides, and this one over that again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.boot.load import Load
from tests.boot.machine import until
from tests.boot.service import CONF, SITE, STORE, UNIT, Service
from tests.boot.versions import CONF_NEWS, SITE_NEWS, Version

KEEP = "-o Dpkg::Options::=--force-confold"  # what unattended-upgrades tells dpkg, too
COPY = f"{STORE}/status.db.before-schema-"


@dataclass(frozen=True)
class Upgraded:
    """A service after its upgrade, and what was there before."""

    service: Service
    later: Version
    message: str
    conf: str
    token: str
    starts: int
    said: str
    load: Load


@pytest.fixture(scope="module")
def upgraded(lasting: Service, later_package: Version) -> Upgraded:
    """Upgrade under load."""
    lasting.ready()
    message = lasting.send()
    assert "delivered" == lasting.final_status(message)
    token = lasting.machine.sh("sha256sum /etc/plivostatusd/credentials/*")
    before = lasting.machine.read(CONF), token, lasting.starts
    with Load(lasting) as load:
        said = lasting.install(later_package, KEEP)
        load.goes_on()
    return Upgraded(lasting, later_package, message, *before, said, load)


def schema(service: Service, path: str) -> int:
    """Return which schema a store, or a copy of one, has."""
    script = (
        "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute('PRAGMA user_version'))"
    )
    as_owner = ["runuser", "-u", "plivostatusd", "--", "python3", "-I", "-c", script, path]
    return int(service.machine.run(*as_owner).out.strip("(,)\n"))


def test_no_gap(upgraded: Upgraded, figure: Callable[[str], None]) -> None:
    """An upgrade with a migration refuses, loses and doubles no callback."""
    assert set(upgraded.load.met["cut"]) <= {"straight kept"}
    figure(f"{upgraded.service.machine.suite}: upgrade: {upgraded.load}")


def test_one_restart(upgraded: Upgraded) -> None:
    """An upgrade starts the service once, and says nothing that only an installation says."""
    assert upgraded.starts + 1 == upgraded.service.starts
    assert upgraded.later.version == upgraded.service.installed
    assert "is told who you are" not in upgraded.said


def test_what_the_admin_changed_stays(upgraded: Upgraded) -> None:
    """Settings and secrets stay as they were; what nobody had changed is the later version's."""
    machine = upgraded.service.machine
    assert upgraded.conf == machine.read(CONF)
    assert CONF_NEWS in machine.read(f"{CONF}.dpkg-dist")
    assert SITE_NEWS in machine.read(SITE)
    assert upgraded.token == machine.sh("sha256sum /etc/plivostatusd/credentials/*")
    assert "root plivostatusd 640" == machine.sh(f"stat -c '%U %G %a' {CONF}").strip()


def test_a_copy_before_the_migration(upgraded: Upgraded) -> None:
    """The store has the later schema, and a whole copy with the former one lies beside it."""
    service, later = upgraded.service, upgraded.later
    assert later.schema == schema(service, f"{STORE}/status.db")
    assert later.schema - 1 == schema(service, f"{COPY}{later.schema}")
    assert "delivered" == service.message(upgraded.message)["status"]


def test_downgrade(upgraded: Upgraded) -> None:
    """An older version leaves a later store alone and says what to type; typed, it works."""
    service, machine = upgraded.service, upgraded.service.machine
    copy = f"{COPY}{upgraded.later.schema}"
    machine.run("systemctl", "stop", UNIT)
    content = machine.sh(f"sha256sum {STORE}/status.db*")
    service.install(None, "--allow-downgrades", KEEP)
    until(lambda: "Not started: " in service.status(), "the status says why it does not start")
    assert copy in service.status()
    assert content == machine.sh(f"sha256sum {STORE}/status.db*")
    machine.run("systemctl", "stop", UNIT)
    machine.sh(f"plivostatusd --restore {copy} && systemctl start {UNIT}")
    assert "delivered" == service.message(upgraded.message)["status"]
