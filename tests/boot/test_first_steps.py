"""From the .deb file to a delivered message, typed as the installation itself says."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable

import pytest

from plivostatusd.simulator.options import AUTH_TOKEN
from tests.boot.machine import until
from tests.boot.service import CONF, SETTINGS, STORE, UNIT, Service, edited, lay_certificate
from tests.package.built import ROOT

# The figure to reach is a third of it: two cores may be shared with others.
INSTALL_S_MAX = 3 * 10.0
SECTION = "## A first real SMS in five steps"
NEXT_SECTION = "## The API in one screen"


def steps(said: str) -> dict[int, str]:
    """Return what the closing lines of an installation say to type, by the step's number."""
    _, _, closing = said.partition("plivostatusd is installed")
    found: dict[int, str] = {}
    number = 0
    for line in closing.splitlines():
        if title := re.match(r"  (\d)\. ", line):
            number = int(title[1])
        elif line.startswith("       ") and number:
            found[number] = found.get(number, "") + line.strip() + "\n"
    return found


def blocks(document: str, since: str, to: str) -> list[str]:
    """Return what a document says to type in one of its sections, block by block."""
    section = document.partition(f"\n{since}\n")[2].partition(f"\n{to}\n")[0]
    return re.findall(r"^ *```sh\n(.*?)^ *```$", section, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def said(fresh: Service, figure: Callable[[str], None]) -> str:
    """Install the package where nothing of ours ever was, and return what apt said."""
    deb = fresh.carry(fresh.package)
    began_s = time.monotonic()
    # Asked for by a person at a terminal, with nobody there to answer.
    said = fresh.machine.sh(f"env -u DEBIAN_FRONTEND apt-get install -y {deb}")
    took_s = time.monotonic() - began_s
    figure(f"{fresh.machine.suite}: installed in {took_s:.1f} s")
    assert took_s <= INSTALL_S_MAX
    return said


@pytest.fixture
def afresh(lasting: Service) -> Service:
    """Return a machine on which the package was just installed, with an admin who can type."""
    machine = lasting.machine
    machine.sh(f"systemctl stop simulator; apt-get purge -y plivostatusd; rm -rf {STORE}")
    lasting.install()
    equip(lasting)
    return lasting


def equip(service: Service) -> None:
    """Give the machine an editor that does what the steps have words for, certificate and Plivo."""
    machine = service.machine
    # An editor in which the admin does what the step's words say.
    machine.write("/srv/settings.sed", edited(SETTINGS))
    machine.write(
        "/usr/local/bin/editor",
        f'#!/bin/sh\n[ "$1" = {CONF} ] || exit 0\nsed -i -f /srv/settings.sed "$1"\n',
    )
    machine.sh("chmod +x /usr/local/bin/editor")
    lay_certificate(machine, service.certificate)
    service.simulate()


def test_install_without_configuration(fresh: Service, said: str) -> None:
    """Nothing fails, nothing restarts, nobody is asked; status and the last lines say what next."""
    assert [1, 2, 3, 4, 5] == sorted(steps(said))
    assert "curl " in steps(said)[4]
    assert "Configuring plivostatusd" not in said
    assert "" == fresh.machine.sh("systemctl --failed --no-legend")
    assert ("inactive", "dead", "0") == tuple(
        fresh.shown(name) for name in ("ActiveState", "SubState", "NRestarts")
    )
    assert "/etc/plivostatusd/credentials/auth_token" in fresh.status()
    assert "enabled" == fresh.machine.sh(f"systemctl is-enabled {UNIT}").strip()
    assert not fresh.is_listening(8787)


def test_steps_word_for_word(fresh: Service, said: str) -> None:
    """Who types what the installation says, and no more, has a delivered message at the end."""
    machine, typed = fresh.machine, steps(said)
    equip(fresh)
    machine.sh(typed[1])
    machine.sh(typed[2], given=f"{AUTH_TOKEN}\n")
    assert "the configuration is good" in machine.sh(typed[3])
    reply = json.loads(machine.run("bash", "-c", typed[4]).out)
    assert "nginx: configuration file" in machine.sh(typed[5])
    assert "delivered" == fresh.final_status(reply["id"])
    assert "" == machine.sh("systemctl --failed --no-legend")


def test_off_and_on(fresh: Service, figure: Callable[[str], None]) -> None:
    """It ends in good order with the machine, starts with it, and knows what it knew."""
    fresh.ready()
    message = fresh.send()
    assert "delivered" == fresh.final_status(message)
    off_s = fresh.machine.power_off()
    figure(f"{fresh.machine.suite}: powered off in {off_s:.1f} s")
    fresh.machine.boot()
    until(fresh.answers, "it has started with the machine")
    assert "delivered" == fresh.message(message)["status"]
    assert '"last_stop_clean":true' in fresh.journal()


def test_readme_word_for_word(afresh: Service) -> None:
    """Who types what README.md says has a delivered message at the end."""
    readme = (ROOT / "README.md").read_text()
    install, start, site, send = blocks(readme, SECTION, NEXT_SECTION)
    machine = afresh.machine
    machine.sh("apt-get purge -y plivostatusd; mkdir -p /srv/clone/dist")
    machine.copy(afresh.package.deb, f"/srv/clone/dist/{afresh.package.deb.name}")
    machine.sh(f"cd /srv/clone && {install.strip()} -y")
    machine.sh(f"editor {CONF}")
    machine.sh(start, given=f"{AUTH_TOKEN}\n")
    machine.sh(site)
    send, _, follow = send.rpartition("plivostatusctl tail")
    reply = json.loads(machine.run("bash", "-c", send).out)
    assert "\n" == follow
    assert "delivered" == afresh.final_status(reply["id"])


def test_readme_debian(fresh: Service, said: str) -> None:
    """What README.Debian says to type is what the installation says."""
    text = fresh.machine.read("/usr/share/doc/plivostatusd/README.Debian")
    typed = {" ".join(line.split()) for line in text.splitlines()}
    for step in (2, 3):
        assert any(line.endswith(steps(said)[step].strip()) for line in typed)
    link = "ln -s ../sites-available/plivostatusd /etc/nginx/sites-enabled/"
    assert link in typed
    assert link in steps(said)[5]


def test_autopkgtest(afresh: Service) -> None:
    """The test that the package brings for Debian's own infrastructure passes."""
    machine = afresh.machine
    machine.run("systemctl", "stop", "simulator")  # it starts its own
    machine.copy(ROOT / "packaging/debian/tests/simulator", "/srv/simulator")
    machine.sh("sh /srv/simulator")
