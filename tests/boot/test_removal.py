"""Remove, purge, and install again."""

from __future__ import annotations

import pytest

from tests.boot.service import API_SOCKET, CONF, CREDENTIALS, SITE, STORE, UNIT, Service

PURGE = "apt-get purge -y -q -o Dpkg::Use-Pty=0 plivostatusd"


def exists(service: Service, path: str) -> bool:
    """Look for a file."""
    return service.machine.run("test", "-e", path, status=None).status == 0


@pytest.fixture
def message(service: Service) -> str:
    """Return a message that was delivered."""
    message = service.send()
    assert "delivered" == service.final_status(message)
    return message


def test_remove(service: Service, message: str) -> None:
    """Remove ends the service, and keeps settings, secrets and messages for the next time."""
    service.machine.sh("apt-get remove -y -q -o Dpkg::Use-Pty=0 plivostatusd")
    assert not any(service.is_listening(port) for port in (8787, 8788))
    assert not exists(service, API_SOCKET)
    assert not exists(service, "/usr/lib/plivostatusd")
    kept = (CONF, SITE, f"{CREDENTIALS}/auth_token", f"{STORE}/status.db")
    assert all(exists(service, path) for path in kept)
    service.install()
    assert "active" == service.shown("ActiveState")
    assert "delivered" == service.message(message)["status"]


def test_purge_keeps_the_store(service: Service, message: str) -> None:
    """Purge deletes settings and secrets, says where the messages are, and Nginx goes on."""
    said = service.machine.sh(PURGE)
    assert f"the messages are kept in {STORE}" in said
    gone = (CONF, CREDENTIALS, SITE, "/usr/lib/plivostatusd", "/etc/plivostatusd")
    assert not any(exists(service, path) for path in gone)
    assert exists(service, f"{STORE}/status.db")
    service.machine.sh("nginx -t && systemctl reload nginx")
    assert "" == service.machine.sh("systemctl --failed --no-legend")
    service.ready()
    assert "delivered" == service.message(message)["status"]


def test_purge_as_preseeded(service: Service, message: str) -> None:
    """Who said so before has the messages deleted, too; installed again, it begins anew."""
    answer = "plivostatusd plivostatusd/purge-store boolean true"
    service.machine.sh("debconf-set-selections", given=answer)
    said = service.machine.sh(PURGE)
    assert "kept" not in said
    assert not exists(service, STORE)
    service.ready()
    assert [[0]] == service.rows("SELECT count(*) FROM messages")


def test_enabled_stays_as_the_admin_has_it(service: Service) -> None:
    """What an admin disabled is neither enabled nor started by a reinstallation."""
    service.machine.run("systemctl", "disable", "--now", UNIT)
    service.install(None, "--reinstall")
    asked = service.machine.run("systemctl", "is-enabled", UNIT, status=None).out
    assert ("disabled", "inactive") == (asked.strip(), service.shown("ActiveState"))
    service.machine.run("systemctl", "enable", UNIT)
