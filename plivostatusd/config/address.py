"""
Where a listener listens: ``127.0.0.1:8787``, ``[::1]:8787``, ``localhost:8787``, ``unix:/path``.

Pure: no name is looked up. Used by the table of settings; everybody else gets finished
:class:`Address` records.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from plivostatusd.config.problem import Unfit

PORT_MAX = 65_535
UNIX_PATH_BYTES_MAX = 107
"""Linux: ``sun_path`` has 108 bytes, the last of them a zero (unix(7))."""

_WILDCARDS = {"0.0.0.0", "::"}  # noqa: S104 - they are named here to be recognised, not bound
_LABEL = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?[0-9]+")
_TCP = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*):([0-9]{1,5})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A TCP address (*host* without brackets, *port*, 0 for any free one) or a Unix *path*."""

    host: str | None = None
    port: int | None = None
    path: Path | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in (self.host or "") else self.host
        return f"{host}:{self.port}"

    @property
    def is_unix(self) -> bool:
        """It is a Unix socket, which its file's group guards."""
        return self.path is not None

    @property
    def is_loopback(self) -> bool:
        """It is TCP that no other machine reaches. False for a Unix socket."""
        return self.host is not None and is_loopback(self.host)

    def collides(self, other: Address) -> bool:
        """Say whether one process could not listen on both."""
        if self.is_unix or other.is_unix:
            return self.path == other.path
        if self.port != other.port or not self.port:
            return False
        return self.host == other.host or _overlap(self.host or "", other.host or "")


def address(text: str) -> Address:
    """Return the address that *text* names, or raise :class:`Unfit`."""
    if text.startswith("unix:"):
        return _unix(text)
    match = _TCP.fullmatch(text)
    if match is None:
        raise Unfit("is not ADDRESS:PORT or unix:/path", text)
    if not is_host(match[1]):
        raise Unfit("does not begin with an IP address or host name", text)
    if int(match[2]) > PORT_MAX:
        raise Unfit("has a port above 65535", text)
    return Address(host=match[1].strip("[]").lower(), port=int(match[2]))


def is_host(text: str) -> bool:
    """Say whether *text* is a host name, an IPv4 address or an IPv6 address in brackets."""
    if text.startswith("["):
        return text.endswith("]") and _is_ip(text[1:-1], version=6)
    if _ENDS_IN_NUMBER.fullmatch(text):
        return _is_ip(text, version=4)
    return _HOST_NAME.fullmatch(text) is not None


def is_loopback(host: str) -> bool:
    """Say whether *host* (a name or an address, without brackets) is this machine by itself."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _unix(text: str) -> Address:
    path = text.removeprefix("unix:")
    if not path.startswith("/") or path.endswith("/"):
        raise Unfit("does not name a file by its full path, as in unix:/run/x.sock", text)
    if len(path.encode("utf-8", "surrogatepass")) > UNIX_PATH_BYTES_MAX:
        raise Unfit(f"is longer than {UNIX_PATH_BYTES_MAX} bytes", text)
    return Address(path=Path(path))


def _is_ip(text: str, *, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False


def _overlap(one: str, other: str) -> bool:
    """Cover wildcards and ``localhost``: ``0.0.0.0:80`` leaves no room for ``127.0.0.1:80``."""
    if "localhost" in {one, other} and is_loopback(one) and is_loopback(other):
        return True
    wild = {one, other} & _WILDCARDS
    return any((":" in one) == (":" in other) or "localhost" in {one, other} for _ in wild)
