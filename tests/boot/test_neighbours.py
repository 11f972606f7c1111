"""Others who restart, upgrade or listen on a Debian machine, and meet this service."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.boot.load import Load
from tests.boot.service import UNIT, Service
from tests.boot.versions import Version

SOCKET_UNIT = """\
[Socket]
ListenStream=127.0.0.1:8790
FileDescriptorName=callbacks
Service=plivostatusd.service

[Install]
WantedBy=sockets.target
"""


def test_needrestart(service: Service) -> None:
    """When a library was replaced under it, needrestart restarts it and nobody is refused."""
    machine = service.machine
    before = service.starts
    # What an upgrade of it leaves: the file that is in use has no name any more.
    machine.sh(
        "lib=$(readlink -f /usr/lib/*/libsqlite3.so.0);"
        ' cp -p "$lib" "$lib.new" && mv "$lib.new" "$lib"'
    )
    with Load(service) as load:
        assert UNIT in machine.sh("needrestart -b -r l")
        machine.sh("needrestart -r a -q")
        load.goes_on()
    assert set(load.met["cut"]) <= {"straight kept"}
    assert before + 1 == service.starts
    assert UNIT not in machine.sh("needrestart -b -r l")


@pytest.fixture
def archive(service: Service, later_package: Version, tmp_path: Path) -> Callable[[], None]:
    """Return what offers the later version to the machine's apt, as an archive would."""

    def offer() -> None:
        deb = service.carry(later_package)
        machine = service.machine
        machine.sh(f"mkdir -p /srv/archive && cp {deb} /srv/archive/plivostatusd.deb")
        field = subprocess.run(
            ["dpkg-deb", "--field", later_package.deb], capture_output=True, text=True, check=True
        )
        sums = machine.sh(
            "cd /srv/archive && sha256sum plivostatusd.deb && stat -c %s plivostatusd.deb"
        )
        digest, _, size = sums.split()
        machine.write(
            "/srv/archive/Packages",
            f"{field.stdout}Filename: ./plivostatusd.deb\nSize: {size}\nSHA256: {digest}\n",
        )
        packages = machine.sh(
            "cd /srv/archive && sha256sum Packages && stat -c %s Packages"
        ).split()
        machine.write(
            "/srv/archive/Release",
            "Origin: plivostatusd\nSuite: stable\nCodename: stable\n"
            f"Date: {machine.sh('date -Ru').strip().replace('+0000', 'UTC')}\n"
            f"SHA256:\n {packages[0]} {packages[2]} Packages\n",
        )
        machine.write("/etc/apt/sources.list", "deb [trusted=yes] file:/srv/archive ./\n")
        machine.write(
            "/etc/apt/apt.conf.d/99test",
            'Unattended-Upgrade::Origins-Pattern { "origin=plivostatusd"; };\n',
        )
        machine.sh("rm -f /etc/apt/sources.list.d/*; apt-get update")

    return offer


HELD_BACK = "Package plivostatusd has conffile prompt and needs to be upgraded manually"
KEEP = 'Dpkg::Options { "--force-confdef"; "--force-confold"; };\n'


def test_unattended_upgrades(
    service: Service, later_package: Version, archive: Callable[[], None]
) -> None:
    """Debian's nightly upgrade asks nobody: it waits for an admin, or does as one has said."""
    archive()
    machine = service.machine
    machine.write("/etc/apt/apt.conf.d/98test", "")
    with Load(service) as load:
        # Both sides have changed the configuration, so dpkg would ask.
        assert HELD_BACK in machine.sh("unattended-upgrade -v")
        assert service.package.version == service.installed
        machine.write("/etc/apt/apt.conf.d/98test", KEEP)
        assert "All upgrades installed" in machine.sh("unattended-upgrade -v")
        load.goes_on()
    assert set(load.met["cut"]) <= {"straight kept"}
    assert later_package.version == service.installed
    assert "" == machine.sh("systemctl --failed --no-legend")


def test_a_socket_unit_of_the_admins(service: Service) -> None:
    """What an admin's own socket unit listens on is taken beside what is configured, or instead."""
    machine = service.machine
    path = "/etc/systemd/system/plivostatusd-callbacks.socket"
    machine.write(path, SOCKET_UNIT)
    service.drop_in("[Service]\nSockets=plivostatusd-callbacks.socket\n")
    machine.sh(f"systemctl stop {UNIT}; systemctl start plivostatusd-callbacks.socket {UNIT}")
    try:
        asked = "curl -sS -o /dev/null -w '%{http_code}' http://127.0.0.1:8790/health"
        assert "200" == machine.sh(asked)
        service.restart()
        assert "200" == machine.sh(asked)
    finally:
        machine.sh(f"systemctl stop {UNIT} plivostatusd-callbacks.socket; rm {path}")
