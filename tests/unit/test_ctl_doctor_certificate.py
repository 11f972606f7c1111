"""The certificate of public_url, met over a real connection."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from plivostatusd.ctl.doctor import public_address
from plivostatusd.ctl.doctor.check import Check
from plivostatusd.ctl.doctor.public_address import Place
from tests.acceptance.certificate import Certificate

NAME = "localhost"


@contextmanager
def serving(certificate: Certificate | None) -> Iterator[int]:
    """Take TLS connections with *certificate*, or answer in plain text without one."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    if certificate is not None:
        context.load_cert_chain(certificate.chain, certificate.key)
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            try:
                if certificate is None:
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                else:
                    context.wrap_socket(connection, server_side=True).close()
            except OSError:
                pass
            finally:
                connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def met(port: int, host: str = NAME) -> Check:
    """Meet the server as *host*."""
    return public_address._tls(Place.of(f"https://{host}:{port}"))


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    """Return a certificate for localhost that is good for one day."""
    return Certificate.make(tmp_path, "sms.example.com")


def test_one_that_is_trusted(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate that this machine trusts is good while it has days left."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.authority))
    with serving(certificate) as port:
        few = met(port)
        monkeypatch.setattr(public_address, "DAYS_FEW", 0)
        good = met(port)
    assert ("warning", "localhost: 0 days left") == (few.state, few.found)
    assert ("ok", "localhost: trusted, 0 days left") == (good.state, good.found)


def test_one_that_is_not(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's certificate, another name's and no TLS at all are told apart."""
    with serving(certificate) as port:
        nobodys = met(port)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.authority))
        other = met(port, "127.0.0.2")
    with serving(None) as port:
        plain = met(port)
    assert {"fault"} == {check.state for check in (nobodys, other, plain)}
    assert "its root is not trusted" in nobodys.found
    assert "it is for another name" in other.found
    assert "curl -v" in plain.fix


def test_one_that_cannot_be_reached() -> None:
    """Where nothing takes connections nobody can say."""
    assert "warning" == met(9).state
