"""Where the local API may be found: a Unix socket, or a URL. Pure."""

from __future__ import annotations

import ipaddress  # urllib.parse has it already
from typing import NamedTuple
from urllib.parse import urlsplit

_ANY_HOST = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 -- not a bind


class Address(NamedTuple):
    """One place to ask. `socket` is a path, or empty for TCP."""

    socket: str = ""
    host: str = "localhost"
    port: int = 0
    tls: bool = False
    prefix: str = ""

    def __str__(self) -> str:
        """Spell it as the options do."""
        if self.socket:
            return f"unix:{self.socket}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{self.prefix}"

    @property
    def option(self) -> str:
        """The option that picks this address and no other."""
        return f"--socket {self.socket}" if self.socket else f"--url {self}"

    @property
    def keeps_secrets(self) -> bool:
        """Nobody on the network can read what is sent there."""
        return bool(self.socket) or self.tls or _is_loopback(self.host)


def from_url(url: str) -> Address:
    """
    Read `http://host:port[/prefix]`.

    Raises:
        ValueError: *url* is not such a URL; the text says what was expected.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("want http://HOST:PORT or https://HOST")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("a URL without user, query and fragment is wanted")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("a URL is plain ASCII without blanks")
    tls = parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    return Address(host=parts.hostname, port=port, tls=tls, prefix=parts.path.rstrip("/"))


def from_listener(listener: str) -> Address:
    """
    Read one entry of `api.listen`: `host:port` or `unix:/path`, as one would connect to it.

    Raises:
        ValueError: *listener* is neither.
    """
    if listener.startswith("unix:"):
        return Address(socket=listener.removeprefix("unix:"))
    host, _, port = listener.rpartition(":")
    host = host.strip("[]")
    if not port.isascii() or not port.isdigit():
        raise ValueError(f"api.listen: {listener!r} is neither ADDRESS:PORT nor unix:/PATH")
    return Address(host=_ANY_HOST.get(host, host), port=int(port))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
