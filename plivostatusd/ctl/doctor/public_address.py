"""public_url from outside in: its name, whether it takes connections, its certificate."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from plivostatusd.ctl.doctor.check import Check, Named
from plivostatusd.ctl.doctor.scene import Scene

NAME = "public address"
CERTIFICATE = "certificate"
_SAY, _CERTIFICATE = Named(NAME), Named(CERTIFICATE)
CONNECT_S = 2.0
ADDRESSES_MAX = 3
DAYS_FEW = 14
_DAY_S = 86_400
_PORTS = {"http": 80, "https": 443}
_EXPIRED, _HOSTNAME, _ADDRESS = 10, 62, 64
_SELF_SIGNED = {18, 19}
_INCOMPLETE = {2, 20, 21}
"""Verification errors of OpenSSL (openssl-verification-options(1), X509_V_ERR_*)."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a public URL leads."""

    url: str
    host: str
    port: int
    is_tls: bool

    @classmethod
    def of(cls, url: str) -> Place:
        """Read a URL that the configuration took."""
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
        return cls(url, parts.hostname or "", port, parts.scheme == "https")

    @property
    def is_loopback(self) -> bool:
        """It is this machine, as nobody else sees it."""
        return self.host == "localhost" or self.host.startswith("127.")


def address(scene: Scene) -> Iterator[Check]:
    """Look each name up, and connect."""
    scene.wait_for_nginx()
    urls = scene.public_urls()
    if not urls:
        yield _SAY.warning("not looked at: no public_url is known")
    for url in urls:
        yield from _one(Place.of(url))


def _one(place: Place) -> Iterator[Check]:
    try:
        found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", "") or "no such name"
        yield _SAY.fault(f"{place.host} has no address: {why}", f"getent ahosts {place.host}")
        return
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    shown = f"{place.host} is {', '.join(addresses)}"
    if all(_is_inner(each) for each in addresses) and not place.is_loopback:
        yield _SAY.warning(
            f"{shown}, which the internet does not reach", f"dig +short {place.host} @1.1.1.1"
        )
        return
    met = {each: _connects(each, place.port) for each in addresses[:ADDRESSES_MAX]}
    refusing = [each for each, takes in met.items() if takes is False]
    if True not in met.values():
        yield _SAY.warning(
            f"{shown}; from here nothing takes connections at port {place.port}",
            "systemctl status nginx; else look at the firewall, or try from elsewhere:"
            f" curl -v {place.url}/plivo/status",
        )
    elif refusing and not place.is_loopback:
        yield _SAY.warning(
            f"{shown}; {', '.join(refusing)} refuses connections at port {place.port}, and Plivo"
            " may try it",
            f"in Nginx: listen [::]:{place.port} ssl; or take that address out of the DNS",
        )
    else:
        yield _SAY.ok(f"{shown}; it takes connections at port {place.port}")


def _is_inner(text: str) -> bool:
    try:
        return not ipaddress.ip_address(text.partition("%")[0]).is_global
    except ValueError:
        return False


def _connects(address: str, port: int) -> bool | None:
    """Say whether something takes connections there; None when that cannot be told from here."""
    try:
        socket.create_connection((address, port), timeout=CONNECT_S).close()
    except ConnectionRefusedError:
        return False
    except OSError:
        return None
    return True


def certificate(scene: Scene) -> Iterator[Check]:
    """Check each certificate as Plivo does: chain, name and days."""
    scene.wait_for_nginx()
    urls = scene.public_urls()
    if not urls:
        yield _CERTIFICATE.warning("not looked at: no public_url is known")
    for place in map(Place.of, urls):
        if place.is_tls:
            yield _tls(place)
        elif place.is_loopback:
            yield _CERTIFICATE.ok(f"{place.url} is this machine, for trying things out: no TLS")
        else:
            yield _CERTIFICATE.warning(
                f"{place.url} is without TLS: whoever is on the way reads numbers",
                "certbot --nginx, then [callbacks] public_url = https://...",
            )


def _tls(place: Place) -> Check:
    for where in (place.host, "127.0.0.1"):
        # Where this host cannot reach its own public address, Nginx is asked past it.
        try:
            with socket.create_connection((where, place.port), timeout=CONNECT_S) as connection:
                return _met(place, connection)
        except ssl.SSLCertVerificationError as error:
            return _bad(place, error)
        except ssl.SSLError as error:
            why = error.reason or "TLS fails"
            return _CERTIFICATE.fault(f"{place.url}: {why}", f"curl -v {place.url}/")
        except OSError:
            continue
    return _CERTIFICATE.warning(f"{place.url} cannot be reached from here", f"curl -v {place.url}/")


def _met(place: Place, connection: socket.socket) -> Check:
    context = ssl.create_default_context()
    with context.wrap_socket(connection, server_hostname=place.host) as met:
        ends = str((met.getpeercert() or {}).get("notAfter", ""))
    days = int((ssl.cert_time_to_seconds(ends) - time.time()) // _DAY_S)
    if days < DAYS_FEW:
        return _CERTIFICATE.warning(f"{place.host}: {days} days left", "certbot renew")
    return _CERTIFICATE.ok(f"{place.host}: trusted, {days} days left")


def _bad(place: Place, error: ssl.SSLCertVerificationError) -> Check:
    code, host = error.verify_code, place.host
    if code == _EXPIRED:
        return _CERTIFICATE.fault(
            f"{host}: it has expired", "certbot renew && systemctl reload nginx"
        )
    if code in {_HOSTNAME, _ADDRESS}:
        return _CERTIFICATE.fault(f"{host}: it is for another name", f"certbot --nginx -d {host}")
    if code in _SELF_SIGNED:
        return _CERTIFICATE.fault(
            f"{host}: nobody vouches for it (self-signed), so Plivo does not call",
            f"certbot --nginx -d {host}",
        )
    if code in _INCOMPLETE:
        return _CERTIFICATE.fault(
            f"{host}: the chain is incomplete, or its root is not trusted",
            "in Nginx: ssl_certificate /etc/letsencrypt/live/NAME/fullchain.pem;",
        )
    return _CERTIFICATE.fault(f"{host}: {error.verify_message}", f"curl -v {place.url}/")
