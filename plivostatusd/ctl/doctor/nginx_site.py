"""
Which server and location of Nginx's take a request, and what becomes of its path. Pure.

Source: nginx.org/en/docs/http/{server_names,request_processing,ngx_http_core_module}.html and
ngx_http_proxy_module.html (proxy_pass), read 2026-11-30.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from plivostatusd.ctl.doctor.nginx_dump import Directive

_PLAIN_PORT, _TLS_PORT = "80", "443"
_PASS = re.compile(r"https?://(unix:[^:]+:?|[^/]+)(/.*)?")
_SIZE = re.compile(r"(\d+)([kKmMgG]?)")
_FACTORS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
DEFAULT_BODY = "1m"


@dataclass(frozen=True, slots=True)
class Served:
    """The server that takes a request, and whether by its name or in another's stead."""

    server: Directive
    http: Directive
    by_name: bool


@dataclass(frozen=True, slots=True)
class Target:
    """Where proxy_pass leads: addresses, and the path that takes the location's place, if any."""

    addresses: tuple[str, ...]
    path: str | None


def servers(root: Directive) -> Iterator[tuple[Directive, Directive]]:
    """Give each http server with the http block around it."""
    for http in root.find("http"):
        for server in http.find("server"):
            yield http, server


def served(root: Directive, host: str, port: str, *, tls: bool) -> Served | None:
    """Find the server that takes a request to *host* at *port*; None when nobody listens there."""
    listening = [
        (http, server)
        for http, server in servers(root)
        if any(_listens(each, port, tls=tls) for each in _listens_of(server, tls=tls))
    ]
    best = min(listening, key=lambda pair: _fit(pair[1], host), default=None)
    if best is None:
        return None
    if _fit(best[1], host) < _NO_FIT:
        return Served(best[1], best[0], by_name=True)
    chosen = next((pair for pair in listening if _is_default(pair[1])), listening[0])
    return Served(chosen[1], chosen[0], by_name=False)


def _listens_of(server: Directive, *, tls: bool) -> list[list[str]]:
    listed = [each.words for each in server.find("listen")]
    return listed or [[_TLS_PORT if tls else _PLAIN_PORT]]


def _listens(words: list[str], port: str, *, tls: bool) -> bool:
    if not words or words[0].startswith("unix:"):
        return False
    bound = words[0].rpartition(":")[2] if ":" in words[0].rpartition("]")[2] else ""
    at = bound or (words[0] if words[0].isdigit() else _PLAIN_PORT)
    return at == port and (("ssl" in words[1:]) == tls)


def _is_default(server: Directive) -> bool:
    return any({"default_server", "default"} & set(each.words) for each in server.find("listen"))


_NO_FIT = 9


def _fit(server: Directive, host: str) -> int:
    """Say how well a server's names fit, the least being the best (server_names.html)."""
    names = [name for each in server.find("server_name") for name in each.words]
    return min((_name_fit(name, host.lower()) for name in names), default=_NO_FIT)


def _name_fit(name: str, host: str) -> int:
    bare = name.lower()
    if bare == host:
        return 0
    if bare.startswith("*.") and host.endswith(bare[1:]):
        return 1
    if bare.startswith(".") and (host.endswith(bare) or host == bare[1:]):
        return 1
    if bare.endswith(".*") and host.startswith(bare[:-1]):
        return 2
    if name.startswith("~") and _matches(name[1:], host):
        return 3
    return _NO_FIT


def _matches(pattern: str, text: str, *, flags: int = 0) -> bool:
    """Try a pattern of Nginx's; one that Python does not understand matches nothing."""
    try:
        return re.search(pattern, text, flags) is not None
    except re.error:
        return False


def chain(served: Served, path: str) -> list[Directive]:
    """Give the blocks that *path* comes to, from the outermost: http, server, locations."""
    blocks = [served.http, served.server]
    while (found := _location(blocks[-1], path)) is not None:
        blocks.append(found)
    handed_on = _handed_on(served.server, blocks[-1])
    return [*blocks, handed_on] if handed_on else blocks


def _handed_on(server: Directive, location: Directive) -> Directive | None:
    """Follow `try_files ... @name` to the location of that name: no file is called as we are."""
    tries = next(location.find("try_files"), None)
    if tries is None or not tries.words or next(location.find("proxy_pass"), None):
        return None
    return next((each for each in server.find("location") if each.words == tries.words[-1:]), None)


def _location(block: Directive, path: str) -> Directive | None:
    best, length, is_final = None, -1, False
    patterns = []
    for each in block.find("location"):
        *modifier, pattern = each.words or [""]
        mark = modifier[0] if modifier else ""
        if mark == "=":
            if path == pattern:
                return each
        elif mark in {"~", "~*"}:
            patterns.append((each, pattern, re.IGNORECASE if mark == "~*" else 0))
        elif not pattern.startswith("@") and path.startswith(pattern) and len(pattern) > length:
            best, length, is_final = each, len(pattern), mark == "^~"
    if not is_final:
        for each, pattern, flags in patterns:
            if _matches(pattern, path, flags=flags):
                return each
    return best


def in_force(blocks: list[Directive], name: str) -> Directive | None:
    """Give the directive called *name* that holds in the innermost of *blocks*."""
    for block in reversed(blocks):
        found = list(block.find(name))
        if found:
            return found[-1]
    return None


def all_in_force(blocks: list[Directive], name: str) -> list[Directive]:
    """Give all directives called *name* of the innermost block that has any, as Nginx inherits."""
    for block in reversed(blocks):
        found = list(block.find(name))
        if found:
            return found
    return []


def target(passes: Directive, http: Directive) -> Target | None:
    """Read a proxy_pass; None where it leads to a variable, or is no URL."""
    text = passes.words[0] if passes.words else ""
    match = _PASS.fullmatch(text)
    if match is None or "$" in text:
        return None
    name = match[1].rstrip(":") if match[1].startswith("unix:") else match[1]
    for upstream in http.find("upstream"):
        if upstream.words == [name]:
            listed = tuple(each.words[0] for each in upstream.find("server") if each.words)
            return Target(tuple(map(_with_port, listed)), match[2])
    return Target((_with_port(name),), match[2])


def _with_port(address: str) -> str:
    if address.startswith("unix:") or re.search(r":\d+$", address):
        return address
    return f"{address}:{_PLAIN_PORT}"


def passed_path(location: Directive, passed: Target, path: str) -> str:
    """Say what *path* is when it leaves Nginx: proxy_pass with a path replaces the location's."""
    if passed.path is None:
        return path
    *modifier, prefix = location.words or [""]
    if modifier and modifier[0] in {"~", "~*"}:
        return path
    return passed.path + path[len(prefix) :]


def rewrites(blocks: list[Directive], path: str) -> Iterator[Directive]:
    """Give each rewrite on the way that takes *path* in hand."""
    for block in blocks[1:]:
        for each in block.find("rewrite"):
            if each.words and _matches(each.words[0], path):
                yield each


def size(text: str) -> int | None:
    """Read a size of Nginx's; None for what is none."""
    match = _SIZE.fullmatch(text)
    return int(match[1]) * _FACTORS[match[2].lower()] if match else None
