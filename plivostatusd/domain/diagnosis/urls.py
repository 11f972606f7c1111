"""
Which URLs Plivo may have signed, the likeliest first: scheme, host, port and path each gone astray.

Pure. A URL is its text: nothing is normalised, because a signature is over the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain, product
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from plivostatusd.domain.diagnosis.clues import Clues
    from plivostatusd.domain.signature import Signed

SERVED: Final = re.compile(r"/plivo/(?:[A-Za-z0-9_-]{1,64}/)?status", re.ASCII)
"""What this daemon serves, behind any prefix."""
BARE: Final = "/plivo/status"
_URL: Final = re.compile(r"(https?)://([^/:]*)(:\d+)?(/.*)?", re.ASCII)
_PORTS: Final = ("", ":443", ":80", ":8787", ":8443", ":8080")
_PREFIXES: Final = ("/sms", "/plivo", "/api", "/callback", "/callbacks", "/webhook", "/webhooks")
_ESCAPABLE: Final = re.compile(r"[^A-Za-z0-9/%]")
_REF_SEGMENT: Final = re.compile(r"(?:^|/)([0-9a-f]{32})(?=/|$)")


@dataclass(frozen=True, slots=True)
class Url:
    """A URL in its parts; *port* is empty or begins with a colon, *path* is raw."""

    scheme: str
    host: str
    port: str
    path: str

    @classmethod
    def of(cls, text: str) -> Url | None:
        """Take *text* apart; None when it is no such URL."""
        match = _URL.fullmatch(text)
        return cls(match[1], match[2], match[3] or "", match[4] or "") if match else None

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{self.scheme}://{self.host}{self.port}"

    def __str__(self) -> str:
        return self.origin + self.path


def candidates(request: Signed, clues: Clues) -> Iterator[Url]:
    """Yield each URL that *request* may have been sent to once, those with one fault first."""
    known = [url for url in map(Url.of, clues.public_urls) if url]
    seen: set[tuple[str, str, str, str]] = set()
    for url in chain(_likely(request, clues, known), _all(request, clues, known)):
        key = (url.scheme, url.host, url.port, url.path)
        if key not in seen:
            seen.add(key)
            yield url


def _likely(request: Signed, clues: Clues, known: list[Url]) -> Iterator[Url]:
    """Yield those where either the path or the origin is as configured."""
    for url in known:
        for path in _paths(request, [url.path, *_other_prefixes(request, clues, known)]):
            yield Url(url.scheme, url.host, url.port, path)
    for url in known:
        for scheme, host, port in _origins(request, clues, known):
            yield Url(scheme, host, port, url.path + request.path)

    for url in known:
        for path in _one_escaped(url.path + request.path, re.compile(r"[A-Za-z0-9]")):
            yield Url(url.scheme, url.host, url.port, path)


def _all(request: Signed, clues: Clues, known: list[Url]) -> Iterator[Url]:
    prefixes = [url.path for url in known] + _other_prefixes(request, clues, known)
    paths = list(_paths(request, prefixes))
    for (scheme, host, port), path in product(_origins(request, clues, known), paths):
        yield Url(scheme, host, port, path)


def _origins(request: Signed, clues: Clues, known: list[Url]) -> list[tuple[str, str, str]]:
    """Give scheme, host and port, the configured ones first, then all that turned up anywhere."""
    headers = request.headers
    told = [headers.get(name, "") for name in ("host", "x-forwarded-host", "x-original-host")]
    told += re.findall(r'host="?([^";,\s]+)', headers.get("forwarded", ""))
    split = [part.strip().partition(":") for text in told for part in text.split(",")]
    hosts = [url.host for url in known] + [host for host, _, _ in split] + list(clues.hosts)
    hosts = [host for host in hosts if host]
    hosts += [_turned(host) for host in hosts]
    ports = [url.port for url in known] + [f":{port}" for _, _, port in split if port.isdigit()]
    ports += [f":{port}" for port in [headers.get("x-forwarded-port", "")] if port.isdigit()]
    ports += _PORTS
    schemes = [url.scheme for url in known] + ["https", "http"]
    return list(product(_once(schemes), _once(hosts), _once(ports)))


def _turned(host: str) -> str:
    """The same host with www. where it had none, and without where it had."""
    return host.removeprefix("www.") if host.startswith("www.") else f"www.{host}"


def _other_prefixes(request: Signed, clues: Clues, known: list[Url]) -> list[str]:
    headers = request.headers
    told = [headers.get("x-forwarded-prefix", "").rstrip("/"), *clues.prefixes]
    spelt = [each for url in known for each in _respelt(url.path)]
    return [*spelt, "", *told, *_PREFIXES]


def _paths(request: Signed, prefixes: Iterable[str]) -> Iterator[str]:
    """Give whole paths: as it came, as it should have been, and each with likely dents."""
    told = [
        value.partition("?")[0].partition("://")[2] or value.partition("?")[0]
        for name in ("x-original-uri", "x-original-url", "x-forwarded-uri", "x-rewrite-url")
        if (value := request.headers.get(name, ""))
    ]
    tails = _once([request.path, *_served_tails(request.path)])
    whole = [prefix + tail for prefix in _once(prefixes) for tail in tails]
    whole += [path if path.startswith("/") else path[path.find("/") :] for path in told]
    whole = _once(whole)
    yield from whole
    for path in whole:
        yield path.removesuffix("/") if path.endswith("/") else f"{path}/"
    for path in whole[: 2 * len(tails)]:
        yield from _respelt(path)


def _served_tails(path: str) -> list[str]:
    """Guess which of our paths *path* was before somebody rewrote it."""
    refs = _REF_SEGMENT.findall(path)
    return [f"/plivo/{ref}/status" for ref in refs] + [BARE]


def _respelt(path: str) -> list[str]:
    """Spell *path* with its escapes undone, and with one character escaped that need not be."""
    plain = unquote(path, "latin-1")
    spelt = [plain] if plain.isprintable() else []
    spelt += _one_escaped(path, _ESCAPABLE)
    lower = re.sub(r"%[0-9A-Fa-f]{2}", lambda match: match[0].lower(), path)
    upper = re.sub(r"%[0-9A-Fa-f]{2}", lambda match: match[0].upper(), path)
    return [each for each in _once([*spelt, lower, upper]) if each != path]


def _one_escaped(path: str, escapable: re.Pattern[str]) -> Iterator[str]:
    """Spell *path* with one character escaped, whichever it is."""
    for found in escapable.finditer(path):
        before, code, behind = path[: found.start()], f"{ord(found[0]):02x}", path[found.end() :]
        yield from _once([f"{before}%{code.upper()}{behind}", f"{before}%{code}{behind}"])


def _once(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
