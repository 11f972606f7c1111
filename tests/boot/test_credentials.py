"""Secrets in systemd's hands: exchanged, and encrypted."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from plivostatusd.simulator.options import AUTH_TOKEN
from tests.boot.service import CREDENTIALS, DROP_INS, UNIT, Service

DROP_IN = "/usr/share/doc/plivostatusd/examples/encrypted-credentials.conf"


def test_a_new_token(service: Service) -> None:
    """A token for one more program is good from the next restart on, and so are the old ones."""
    machine = service.machine
    one_more = "backup 0123456789abcdefghijklmnopqrstuv"
    machine.sh(f"echo {one_more} >>{CREDENTIALS}/api_token")
    service.restart()
    code = "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8788/messages"
    for line in machine.read(f"{CREDENTIALS}/api_token").splitlines():
        _, token = line.split()
        assert "200" == machine.sh(f"{code} -H 'Authorization: Bearer {token}'")
    assert "401" == machine.sh(code)


@pytest.fixture
def encrypted(service: Service) -> Iterator[Service]:
    """Type what the example says of itself."""
    text = service.machine.read(DROP_IN)
    typed = "\n".join(line[4:] for line in text.splitlines() if line.startswith("#   "))
    assert ["systemd-creds", "install", "systemctl", "shred"] == re.findall(
        r"^\w\S*", typed, re.MULTILINE
    )
    service.machine.sh(typed)
    yield service
    service.machine.sh(f"rm -r {DROP_INS} {CREDENTIALS}/auth_token.cred; systemctl daemon-reload")


def test_encrypted(encrypted: Service) -> None:
    """With the token encrypted, and no other copy of it, it starts, sends and hears."""
    machine = encrypted.machine
    assert "" == machine.sh(f"grep -rl {AUTH_TOKEN} {CREDENTIALS} || :")
    encrypted.restart()
    assert "active" == encrypted.shown("ActiveState")
    assert "delivered" == encrypted.final_status(encrypted.send())
    assert UNIT not in machine.sh("systemctl --failed --no-legend")
