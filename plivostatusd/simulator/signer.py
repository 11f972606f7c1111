"""
Plivo's signatures over a callback, made with the functions of Plivo's own SDK.

Owns the six ``X-Plivo-Signature-…`` headers. The V3 string and its HMAC are the SDK's; for V2 the
SDK has a check alone, so the signature is put together from its parts and shown to that check.
The only module here that imports the SDK.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import urlencode, urlsplit

from plivo import utils as sdk
from plivo.utils import signature_v3 as sdk_v3

from .options import Signatures

V2 = "X-Plivo-Signature-V2"
V2_MAIN = "X-Plivo-Signature-Ma-V2"
V2_NONCE = "X-Plivo-Signature-V2-Nonce"
V3 = "X-Plivo-Signature-V3"
V3_MAIN = "X-Plivo-Signature-Ma-V3"
V3_NONCE = "X-Plivo-Signature-V3-Nonce"
V2_HEADERS = (V2, V2_MAIN, V2_NONCE)
V3_HEADERS = (V3, V3_MAIN, V3_NONCE)

_NONCE_DIGITS = 20
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Signed:
    """A callback ready to be sent: sending it twice is an exact repeat."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def target(self) -> str:
        """What stands in the request line: path and query."""
        parts = urlsplit(self.url)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def signed_request(  # noqa: PLR0913  (each has a default that suits most tests)
    method: str,
    url: str,
    fields: Mapping[str, str | Sequence[str]],
    token: str | Sequence[str],
    *,
    main_token: str | Sequence[str] = (),
    signatures: Signatures = "both",
    nonces: tuple[str, str] | None = None,
    source: random.Random | None = None,
) -> Signed:
    """
    Build a callback as Plivo would send it, and send nothing.

    Args:
        method: ``POST`` puts *fields* into a form, ``GET`` into the query.
        url: what Plivo was given; it is signed, and called, as it stands.
        fields: a value may be a list: the field is then repeated.
        token: signs V2 and V3; several sign one header, separated by commas.
        main_token: signs the ``Ma-`` headers, which are left away without one.
        signatures: which families to send.
        nonces: for V2 and V3; made from *source* when not given.
        source: where nonces come from; an unseeded one when not given.
    """
    v2_nonce, v3_nonce = nonces or fresh_nonces(source or random.SystemRandom())
    headers: dict[str, str] = {}
    if signatures != "v3":
        _add(headers, V2, _list(token, lambda key: v2_signature(key, url, v2_nonce)))
        _add(headers, V2_MAIN, _list(main_token, lambda key: v2_signature(key, url, v2_nonce)))
        headers[V2_NONCE] = v2_nonce
    if signatures != "v2":
        signed = v3_string(method, url, fields)
        _add(headers, V3, _list(token, lambda key: v3_signature(key, signed, v3_nonce)))
        _add(headers, V3_MAIN, _list(main_token, lambda key: v3_signature(key, signed, v3_nonce)))
        headers[V3_NONCE] = v3_nonce
    return with_fields(method, url, fields, headers)


def with_fields(
    method: str, url: str, fields: Mapping[str, str | Sequence[str]], headers: Mapping[str, str]
) -> Signed:
    """Put *fields* where *method* carries them, under whatever *headers* say."""
    form = urlencode(fields, doseq=True)
    if method == "GET":
        return Signed("GET", f"{url}{'&' if '?' in url else '?'}{form}", dict(headers))
    return Signed(method, url, {**headers, "Content-Type": _FORM}, form.encode("ascii"))


def fresh_nonces(source: random.Random) -> tuple[str, str]:
    """Make a nonce for V2 and another for V3: 20 digits each, as in Plivo's examples."""
    first, second = (source.randrange(10**_NONCE_DIGITS) for _ in range(2))
    return f"{first:0{_NONCE_DIGITS}}", f"{second:0{_NONCE_DIGITS}}"


def v3_string(method: str, url: str, fields: Mapping[str, str | Sequence[str]]) -> str:
    """Spell what V3 signs, up to the nonce, by the SDK's own rules."""
    # A copy, because the SDK writes the url's query into the dictionary it is given.
    given = {name: _plain(value) for name, value in fields.items()}
    build = sdk_v3.construct_get_url if method == "GET" else sdk_v3.construct_post_url
    return bytes(build(url, given)).decode("utf-8")


def v3_signature(token: str, signed: str, nonce: str) -> str:
    """Sign a string made by :func:`v3_string`."""
    return bytes(sdk_v3.get_signature_v3(token.encode(), signed, nonce)).decode("ascii")


def v2_base(url: str) -> str:
    """Spell what V2 signs, up to the nonce: the url without its query."""
    bare = urlsplit(url)._replace(query="", fragment="").geturl()
    return bytes(sdk_v3.construct_get_url(bare, {})).decode("utf-8")


def v2_signature(token: str, url: str, nonce: str) -> str:
    """Sign url and nonce, and make sure that the SDK's own check agrees."""
    mac = sdk.hnew(token.encode(), (v2_base(url) + nonce).encode(), sha256)
    signature = bytes(sdk.base64_encode(mac.digest())).strip().decode("ascii")
    assert sdk.validate_signature(url, nonce, signature, token), "V2 rule differs from the SDK's"
    return signature


def _plain(value: str | Sequence[str]) -> str | list[str]:
    return value if isinstance(value, str) else list(value)


def _list(tokens: str | Sequence[str], sign: Callable[[str], str]) -> str:
    return ",".join(sign(token) for token in ((tokens,) if isinstance(tokens, str) else tokens))


def _add(headers: dict[str, str], name: str, value: str) -> None:
    if value:
        headers[name] = value
