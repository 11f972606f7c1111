"""
Each signature of a kept callback, checked again: which token made it, against which URL. Pure.

Where receiving a callback stops at the first signature that proves it, here every one is looked at,
for whoever has to be convinced. The strings that are signed are those of `signature`.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from plivostatusd.domain import signature
from plivostatusd.domain.errors import CallbackUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from plivostatusd.domain.signature import Key, Signed

HEADERS: Final = (
    ("x-plivo-signature-v3", "v3"),
    ("x-plivo-signature-ma-v3", "v3"),
    ("x-plivo-signature-v2", "v2"),
    ("x-plivo-signature-ma-v2", "v2"),
)
COVERS: Final = {"v3": "method, URL, query and form", "v2": "URL without its query"}


@dataclass(frozen=True, slots=True)
class Checked:
    """One signature: *token* names the key that makes it and *url* what it signs, None if none."""

    header: str
    given: str
    covers: str
    token: str | None
    url: str | None


def check(request: Signed, keys: Sequence[Key], urls: Sequence[str]) -> list[Checked]:
    """Check every signature that *request* bears against each of *keys* and public *urls*."""
    strings = {family: list(_strings(request, family, urls)) for family in COVERS}
    return [
        Checked(header, given, COVERS[family], *_made_of(given, strings[family], keys))
        for header, family in HEADERS
        for given in map(str.strip, request.headers.get(header, "").split(","))
        if given
    ]


def _made_of(
    given: str, strings: Sequence[tuple[str, bytes]], keys: Sequence[Key]
) -> tuple[str | None, str | None]:
    """Name the key that makes *given* and the URL that it signs; None twice for nobody's."""
    for base, string in strings:
        for key in keys:
            if hmac.compare_digest(signature.sign(key.token, string), given.encode("latin-1")):
                return key.name, base
    return None, None


def _strings(request: Signed, family: str, urls: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Give each URL with what a signature of *family* over it signs; none that cannot be."""
    nonce = request.headers.get(f"x-plivo-signature-{family}-nonce", "")
    if not signature.NONCE.fullmatch(nonce):
        return
    tail = nonce.encode()
    if family == "v3":
        try:
            params, can_sign = signature.parameters(request)
            query = signature.pairs_of((request.query or "").encode("latin-1"))
        except CallbackUnreadable:
            return
        if not can_sign:
            return
        tail = signature.v3_tail(request.method, query, params, nonce)
    for url in urls:
        base = f"{url}{request.path}"
        yield base, base.encode("latin-1") + tail
