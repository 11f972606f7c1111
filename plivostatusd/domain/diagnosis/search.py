"""
The search itself: candidates are signed by the rules of each family until one is what was offered.

Pure. Compares without care for time: whoever runs this holds the tokens, and the requests are old.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from plivostatusd.domain import signature
from plivostatusd.domain.diagnosis.urls import candidates
from plivostatusd.domain.errors import CallbackUnreadable
from plivostatusd.domain.signature import V2, V3

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plivostatusd.domain.diagnosis.clues import Clues, Suspect
    from plivostatusd.domain.diagnosis.urls import Url
    from plivostatusd.domain.signature import Key, Pair, Signed

BUDGET: Final = 400_000
"""Signatures tried for one request, about 2 us each."""
_QUERY_PAIRS_MAX: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One reading of what a request bears: whose header, by which rule, with whose nonce."""

    family: str
    rule: str
    nonce_of: str
    offered: frozenset[bytes]
    tail: bytes
    query: str | None
    is_mended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A candidate that verifies: *url* and *key* signed what the request bears, in this *way*."""

    url: Url
    key: Key
    suspect: Suspect | None
    way: Way


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search found, and how many signatures it tried."""

    match: Match | None
    tried: int


def search(request: Signed, clues: Clues, *, budget: int = BUDGET) -> Searched:
    """Search for what verifies *request*; give up after *budget* signatures."""
    ways = list(_ways(request))
    keys: list[tuple[Key, Suspect | None]] = [(key, None) for key in clues.keys]
    keys += [(suspect.key, suspect) for suspect in clues.suspects]
    tried = 0
    for url in candidates(request, clues):
        base = str(url).encode("latin-1", "replace")
        for way in ways:
            for key, suspect in keys:
                if signature.sign(key.token, base + way.tail) in way.offered:
                    return Searched(Match(url=url, key=key, suspect=suspect, way=way), tried + 1)
            tried += len(keys)
        if tried >= budget:
            break
    return Searched(None, tried)


def _ways(request: Signed) -> Iterator[Way]:
    """Yield each way to read the request's signatures, the right ones first."""
    offers = {family: _offered(request, family) for family in (V2, V3)}
    nonces = {family: _nonce(request, family) for family in (V2, V3)}
    for is_right in (True, False):
        for family, (exact, mended) in offers.items():
            for offered, is_mended in ((exact, False), (mended, True)):
                for rule, nonce_of in ((V2, V2), (V3, V3), (V2, V3), (V3, V2)):
                    is_plain = not is_mended and family == rule == nonce_of
                    if not offered or not nonces[nonce_of] or is_plain != is_right:
                        continue
                    for query, tail in _tails(request, rule, nonces[nonce_of]):
                        yield Way(
                            family=family,
                            rule=rule,
                            nonce_of=nonce_of,
                            offered=offered,
                            tail=tail,
                            query=query,
                            is_mended=is_mended,
                        )


def _nonce(request: Signed, family: str) -> str:
    return request.headers.get(f"x-plivo-signature-{family.lower()}-nonce", "").strip()


def _offered(request: Signed, family: str) -> tuple[frozenset[bytes], frozenset[bytes]]:
    """Give the signatures of one family: as they came, and as they may have been."""
    names = (f"x-plivo-signature-{family.lower()}", f"x-plivo-signature-ma-{family.lower()}")
    given = [one for name in names for one in request.headers.get(name, "").split(",")]
    exact = {one.strip(" \t") for one in given} - {""}
    mended = {_mended(one) for one in exact} - exact
    return frozenset(map(_bytes, exact)), frozenset(map(_bytes, mended))


def _mended(text: str) -> str:
    """Undo what a proxy or a form does to base64: a plus that is a blank, padding, quotes."""
    bare = text.strip("\"'").replace(" ", "+").replace("-", "+").replace("_", "/").rstrip("=")
    return bare + "=" * (-len(bare) % 4)


def _bytes(text: str) -> bytes:
    return text.encode("latin-1", "replace")


def _tails(request: Signed, rule: str, nonce: str) -> Iterator[tuple[str | None, bytes]]:
    """Yield what is signed behind the URL, and the query that it takes Plivo to have called."""
    if rule == V2:
        yield request.query, _bytes(nonce)
        return
    try:
        params = signature.parameters(request)[0]
    except CallbackUnreadable:
        return
    for query in _queries(request):
        pairs = _pairs(query)
        if pairs is not None:
            told = pairs if request.method == "GET" else params
            yield query, signature.v3_tail(request.method, pairs, told, nonce)


def _pairs(query: str | None) -> list[Pair] | None:
    try:
        return signature.pairs_of((query or "").encode("latin-1", "replace"))
    except CallbackUnreadable:
        return None


def _queries(request: Signed) -> list[str | None]:
    """Guess the query that Plivo called: as it came, as a proxy noted it, or with less in it."""
    found: list[str | None] = [request.query]
    for name in ("x-original-uri", "x-original-url", "x-forwarded-uri", "x-rewrite-url"):
        _, mark, query = request.headers.get(name, "").partition("?")
        if mark:
            found.append(query)
    found.append(None)
    parts = (request.query or "").split("&")
    if 1 < len(parts) <= _QUERY_PAIRS_MAX or request.method == "GET":
        found += ["&".join(parts[:at] + parts[at + 1 :]) for at in range(len(parts))]
    return list(dict.fromkeys(found))
