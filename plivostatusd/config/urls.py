"""
The addresses on the web that settings carry: ours as Plivo sees it, Plivo's API, a proxy.

Pure, and by pattern rather than by `urllib.parse`: a signature is over the exact text of the URL,
so whatever a parser could read in two ways (case, `;`, dots, escapes) is either kept as it was
written or refused. Refuses with `Unfit` and nothing else.
"""

from __future__ import annotations

import re

from plivostatusd.config.address import PORT_MAX, is_host, is_loopback
from plivostatusd.config.problem import Unfit

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[^\]/]*\]|[^:/]*)(?::(?P<port>[^/]*))?(?P<path>/.*)?"
)
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_USER_INFO = re.compile(r"[a-z]+://[^/]*@")
_LOOSE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PATH = re.compile(r"[A-Za-z0-9._~!$&'()*+=:@%/-]*")
_DOT_SEGMENT = re.compile(r"/(?:\.|%2[Ee]){1,2}(?=/|\Z)")


def public_url(text: str) -> str:
    """
    Return *text* verbatim when signatures over it can be checked, or raise `Unfit`.

    Refused is what the Plivo SDKs sign differently from one another, or what a proxy rewrites.
    """
    match = _parts(text)
    if match["host"].startswith("["):
        raise Unfit("has an IPv6 address for a host; Plivo's signatures need a name", text)
    if (match["path"] or "").endswith("/"):
        raise Unfit("ends in a slash", text)
    _check_path(text, match["path"] or "")
    return text


def api_url(text: str) -> str:
    """Return the base of Plivo's API without its trailing slash; https, or http to loopback."""
    match = _parts(text)
    if match["scheme"] == "http" and not is_loopback(match["host"].strip("[]")):
        raise Unfit("would send the token in the clear: http is for loopback alone", text)
    path = (match["path"] or "").removesuffix("/")
    if path.endswith("/"):
        raise Unfit("ends in several slashes", text)
    _check_path(text, path)
    return text.removesuffix("/")


def proxy_url(text: str) -> str:
    """Return a proxy's URL, `http://[user:password@]host[:port]`, or raise `Unfit`."""
    bare = _USER_INFO.sub(lambda match: f"{match[0].partition('://')[0]}://", text, count=1)
    match = _parts(bare)
    if (match["path"] or "/") != "/":
        raise Unfit("has a path")
    return text.removesuffix("/")


def is_plain_to_the_world(url: str) -> bool:
    """Say whether *url*, already accepted, is http to a host that is not this machine."""
    match = _URL.fullmatch(url)
    return match is not None and match["scheme"] == "http" and not is_loopback(match["host"])


def _parts(text: str) -> re.Match[str]:
    _check_characters(text)
    match = _URL.fullmatch(text)
    if match is None:
        raise Unfit("does not begin with https:// or http://", text)
    if not is_host(match["host"]):
        raise Unfit("has no valid host name", text)
    port = match["port"]
    if port is not None and (not _PORT.fullmatch(port) or int(port) > PORT_MAX):
        raise Unfit("has no valid port after the colon", text)
    return match


def _check_characters(text: str) -> None:
    if _USER_INFO.match(text):
        raise Unfit("carries a user name or password")
    if not text.isascii():
        raise Unfit("has characters outside ASCII; write a host as xn--..., a path as %..", text)
    if "?" in text:
        raise Unfit("has a query", text)
    if "#" in text:
        raise Unfit("has a fragment", text)


def _check_path(text: str, path: str) -> None:
    if "//" in path:
        raise Unfit("has an empty step (//) in its path", text)
    if _DOT_SEGMENT.search(path):
        raise Unfit("has . or .. for a step of its path", text)
    if _LOOSE_PERCENT.search(path):
        raise Unfit("has a % that two hexadecimal digits do not follow", text)
    if not _PATH.fullmatch(path):
        raise Unfit("has a character in its path that is not safe there", text)
