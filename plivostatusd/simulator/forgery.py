"""
Callbacks that nobody at Plivo signed, or not for what they say. Pure.

Each claims `failed`, so that one that is believed shows in the message's status.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Mapping
from urllib.parse import urlsplit

from .callback import Callback
from .signer import (
    V2,
    V2_HEADERS,
    V2_NONCE,
    V3,
    V3_HEADERS,
    V3_NONCE,
    Signed,
    fresh_nonces,
    signed_request,
    v2_base,
    v2_signature,
    v3_string,
    with_fields,
)

_CLAIM = {"Status": "failed", "ErrorCode": "420", "Sequence": "99"}
_WRONG_TOKEN = "somebody-elses-token"  # noqa: S105  (opens nothing: that is its point)


class Kind(enum.Enum):
    """What is wrong with a forged callback."""

    UNSIGNED = "unsigned"
    WRONG_TOKEN = "wrong-token"  # noqa: S105  (a name)
    # The rule of some tutorials: V3 over url and nonce, which covers no field.
    URL_AND_NONCE = "url-and-nonce"
    # V3 of the genuine fields, V2 taken away, other fields.
    FIELDS_CHANGED = "fields-changed"
    # V2 of an acknowledged callback, V3 taken away, other fields: its nonce is known by then.
    V3_STRIPPED = "v3-stripped"
    # V2 has no separator, so a V3 signature passes as V2 under a nonce that holds the fields.
    V3_AS_V2 = "v3-as-v2"
    # V2 of another message's url.
    ELSEWHERE = "elsewhere"


def forge(
    kind: Kind, genuine: Callback, url: str, token: str, source: random.Random
) -> Callback | None:
    """
    Make a forged callback out of a *genuine* one that was sent to *url*.

    None when *genuine* lacks the signature family that this kind abuses. *token* is the right
    one: some kinds carry a signature that Plivo once made over something else.
    """
    headers = _headers(kind, genuine, url, token, source)
    if headers is None:
        return None
    fields = {**genuine.fields, **_CLAIM}
    method = genuine.request.method
    if kind is Kind.WRONG_TOKEN:
        request = signed_request(
            method, url, fields, _WRONG_TOKEN, main_token=_WRONG_TOKEN, source=source
        )
    else:
        request = with_fields(method, url, fields, headers)
    return Callback(fields, request)


def _headers(
    kind: Kind, genuine: Callback, url: str, token: str, source: random.Random
) -> dict[str, str] | None:
    nonce, _ = fresh_nonces(source)
    if kind is Kind.URL_AND_NONCE:
        return {V3: v2_signature(token, url, nonce), V3_NONCE: nonce}
    if kind is Kind.FIELDS_CHANGED:
        return _kept(genuine.request, V3_HEADERS)
    if kind is Kind.V3_STRIPPED:
        return _kept(genuine.request, V2_HEADERS)
    if kind is Kind.V3_AS_V2:
        return _crossed(genuine, url)
    if kind is Kind.ELSEWHERE:
        return {V2: v2_signature(token, _neighbour(url), nonce), V2_NONCE: nonce}
    return {}


def _neighbour(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(path=f"{parts.path}/elsewhere").geturl()


def _kept(request: Signed, names: tuple[str, ...]) -> dict[str, str] | None:
    """Keep the headers of one family, or None when the request has none of it."""
    return {name: request.headers[name] for name in names if name in request.headers} or None


def _crossed(genuine: Callback, url: str) -> dict[str, str] | None:
    """Show a genuine V3 signature as V2, with all that V3 signs behind the url as the nonce."""
    headers: Mapping[str, str] = genuine.request.headers
    if V3 not in headers:
        return None
    signed = v3_string(genuine.request.method, url, genuine.fields)
    nonce = f"{signed.removeprefix(v2_base(url))}.{headers[V3_NONCE]}"
    return {V2: headers[V3], V2_NONCE: nonce}
