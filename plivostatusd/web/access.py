"""Who may use the local API: hosts, origins, tokens, and the user at the other end of a socket."""

from __future__ import annotations

import hmac
import os
import pwd
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from plivostatusd.domain.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plivostatusd.domain.secret import Secret

ANYONE: Final = "local"
_PORT: Final = re.compile(r":\d{1,5}$", re.ASCII)


class HostRefused(Refusal):
    """A `Host` that is not in `api.hosts`: a web page may have had a name point here."""

    http_status = 403
    slug = "host"
    title = "This Host is not served"
    hint = "Add the name to api.hosts"


class OriginRefused(Refusal):
    """A page of another site asks: no web page may send SMS."""

    http_status = 403
    slug = "origin"
    title = "A page of another site may not ask"


class TokenRefused(Refusal):
    """No bearer token, or one that is not configured."""

    http_status = 401
    slug = "token"
    title = "A bearer token is needed"
    hint = "Send Authorization: Bearer TOKEN with a token of api.token_file"


class OperatorOnly(Refusal):
    """What an operator does by hand is done on the Unix socket, by root or the daemon's user."""

    http_status = 403
    slug = "operator-only"
    title = "Only root or the daemon's own user may do this, on the Unix socket"
    hint = "sudo plivostatusctl --socket /run/plivostatusd/api.sock ..."


class Unnamed(Refusal):
    """
    The user at the other end cannot be named now, as no file can be opened.

    Another name for the same user would be another's Idempotency-Keys: a send could go out twice.
    """

    http_status = 503
    slug = "unnamed"
    title = "The user who asks cannot be named now"
    hint = "The log says accepting_paused, and what to look at"


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks. *uid* is set on the Unix socket alone."""

    name: str
    uid: int | None = None

    @property
    def is_operator(self) -> bool:
        """Say whether this is root, or the user that the daemon runs as."""
        return self.uid is not None and self.uid in {0, os.geteuid()}


@lru_cache(maxsize=64)  # whoever keeps the users may be a network away
def user(uid: int) -> Asker:
    """Name the user at the other end of a Unix socket. Raises `Unnamed`."""
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        _check_that_files_open()  # without a descriptor pwd finds nobody, either
        name = str(uid)
    return Asker(f"unix:{name}", uid)


def _check_that_files_open() -> None:
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        raise Unnamed(retry_after_s=5) from error


@dataclass(frozen=True, slots=True)
class Rules:
    """What the configuration allows over TCP; replaced as a whole at a reload."""

    hosts: frozenset[str]
    tokens: Mapping[str, Secret]

    def check_host(self, host: str) -> None:
        """Raise `HostRefused` unless *host*, without its port, is one of ours."""
        if _PORT.sub("", host).lower() not in self.hosts:
            raise HostRefused

    def bearer(self, authorization: str) -> Asker:
        """Name the token in an `Authorization` header. Raises `TokenRefused`."""
        if not self.tokens:
            return Asker(ANYONE)
        scheme, _, given = authorization.partition(" ")
        offered = given.strip().encode()
        # Each is compared, whichever matches: how long it takes tells nothing.
        names = [
            name
            for name, token in self.tokens.items()
            if hmac.compare_digest(token.reveal().encode(), offered)
        ]
        if scheme.lower() != "bearer" or not names:
            raise TokenRefused
        return Asker(names[0])


def check_origin(origin: str | None, fetch_site: str | None, host: str) -> None:
    """Raise `OriginRefused` for what a browser sends on behalf of another site's page."""
    if fetch_site in {"cross-site", "same-site"}:
        raise OriginRefused
    if origin is not None and _place(origin) not in {host.lower()} - {""}:
        raise OriginRefused


def _place(origin: str) -> str:
    """Give host and port of an origin; nothing for `null` and for what is no URL."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
