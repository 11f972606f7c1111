"""
Finds the daemon: what the options say, else what its configuration says, else the usual places.

Of the configuration only where the local API listens and where its tokens are is read, so that an
operator who may not read the credentials can use the tool all the same, and one bad setting
elsewhere does not take it away.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from plivostatusd.ctl.address import Address, from_listener, from_url
from plivostatusd.ctl.client import Client
from plivostatusd.ctl.credential import first_token
from plivostatusd.ctl.errors import UsageError

CONFIG = Path("/etc/plivostatusd/plivostatusd.conf")
DEFAULT_LISTEN = "127.0.0.1:8788"
USUAL_SOCKET = "/run/plivostatusd/api.sock"
STORED_TOKEN = Path("/etc/plivostatusd/credentials/api_token")
USUAL_PLACES = (f"unix:{USUAL_SOCKET}", DEFAULT_LISTEN)


class Configured(NamedTuple):
    """What the configuration says of the local API."""

    addresses: tuple[Address, ...]
    token_file: Path | None = None


def client(options: Namespace, environ: Mapping[str, str]) -> Client:
    """
    Make the client that asks the daemon which *options* mean.

    Raises:
        UsageError: an option's value, or a file that it names, is of no use.
    """

    @cache
    def configured() -> Configured:
        return _configured(options.config, environ)

    addresses = _given(options) or configured().addresses

    @cache
    def token(address: Address) -> str:
        if options.token_file:
            return _given_token(Path(options.token_file))
        if address.socket:
            return ""  # its group guards it; the token file may be unreadable, and is not needed
        return _configured_token(configured(), address)

    return Client(addresses, token)


def configured_socket(options: Namespace, environ: Mapping[str, str]) -> str:
    """Return the Unix socket to name in advice: the configuration's first, else the usual one."""
    first = _configured(options.config, environ).addresses[0]
    return first.socket or USUAL_SOCKET


def _given(options: Namespace) -> tuple[Address, ...]:
    if options.socket:
        return (Address(socket=options.socket),)
    if not options.url:
        return ()
    try:
        return (from_url(options.url),)
    except ValueError as error:
        raise UsageError(f"--url: {error}") from None


def _given_token(path: Path) -> str:
    try:
        return first_token(path)
    except OSError as error:
        raise UsageError(f"--token-file: {path}: {error.strerror}") from None


def _configured_token(found: Configured, address: Address) -> str:
    """
    The configuration's token goes to the daemon's own listeners, and to a URL only where nobody
    on the way can read it.
    """
    if address not in found.addresses and not address.keeps_secrets:
        return ""
    try:
        return first_token(found.token_file or STORED_TOKEN)
    except (OSError, UsageError):
        return ""  # may be none of this user's business; the daemon says whether it is needed


def _configured(given: str | None, environ: Mapping[str, str]) -> Configured:
    """Read *given*, or the usual file; only the usual one may be missing or unreadable."""
    try:
        listed, token_file = _read(Path(given) if given else CONFIG, environ)
        addresses = tuple(from_listener(entry) for entry in listed)
    except (OSError, ValueError) as error:
        if given:
            raise UsageError(f"-c: {_reason(given, error)}") from None
        return Configured(tuple(map(from_listener, USUAL_PLACES)))
    sockets_first = sorted(addresses, key=lambda address: not address.socket)
    return Configured(tuple(sockets_first), token_file)


def _reason(path: str, error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{path}: {error.strerror}"
    return f"{path}: {error}"


def _read(path: Path, environ: Mapping[str, str]) -> tuple[list[str], Path | None]:
    """
    Read `api.listen` and `api.token_file`, with the environment's word above the file's.

    By hand, because the daemon's own reader takes four times as long to import as this takes; a
    test holds that both find the same.
    """
    settings = _settings(path.read_text("utf-8-sig", "replace"))
    for key in ("listen", "token_file"):
        settings[key] = environ.get(f"PLIVOSTATUSD_API_{key}".upper(), settings.get(key, ""))
    listen = settings["listen"].strip() or DEFAULT_LISTEN
    token_file = settings["token_file"].strip()
    return [entry.strip() for entry in listen.split(",")], Path(token_file) if token_file else None


def _settings(text: str) -> dict[str, str]:
    """Return what the section `api` sets, whatever is wrong elsewhere in the file."""
    found: dict[str, str] = {}
    section = ""
    for line in text.split("\n"):
        key, _, value = (part.strip() for part in line.partition("="))
        if line.startswith("["):
            section = line.strip()
        elif section == "[api]" and line[:1].isalpha():
            found.setdefault(key, value)
    return found
