"""Nginx as Debian has it, with the site as the package ships it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.boot.service import PUBLIC_URL, SITE, Service

SNAKEOIL = {
    "/etc/letsencrypt/live/sms.example.com/fullchain.pem": "/etc/ssl/certs/ssl-cert-snakeoil.pem",
    "/etc/letsencrypt/live/sms.example.com/privkey.pem": "/etc/ssl/private/ssl-cert-snakeoil.key",
}
CODE = "curl -sk -o /dev/null -w '%{http_code}'"


@pytest.fixture
def snakeoil(service: Service) -> Iterator[Service]:
    """Let the site use Debian's certificate for trying things out, as its own comment says."""
    machine = service.machine
    edits = " ".join(f"-e 's|{old};|{new};|'" for old, new in SNAKEOIL.items())
    machine.sh(f"cp {SITE} /srv/site && sed -i {edits} {SITE}")
    machine.sh("nginx -t && systemctl reload nginx")
    yield service
    machine.sh(f"cp /srv/site {SITE} && nginx -t && systemctl reload nginx")


def test_the_site_as_shipped(service: Service) -> None:
    """With a certificate where certbot puts it, nginx -t finds nothing to say of the site."""
    said = service.machine.sh("nginx -t")
    assert "test is successful" in said
    assert "plivostatusd" not in said
    host = f"--resolve sms.example.com:443:127.0.0.1 --cacert /srv/authority.pem {PUBLIC_URL}"
    assert "403" == service.machine.sh(f"{CODE} -d x=1 {host}/plivo/status").strip()
    assert "404" == service.machine.sh(f"{CODE} {host}/health").strip()


def test_snakeoil(snakeoil: Service) -> None:
    """With Debian's own certificate of no authority, the site works as well."""
    url = "https://127.0.0.1/plivo/status"
    assert "403" == snakeoil.machine.sh(f"{CODE} -d x=1 {url}").strip()
