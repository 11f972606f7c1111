"""
Signatures: a request is believed exactly where a signature of Plivo's own making stands in it.

An input is two requests (tests/fuzz/arrived.py) with a line `=====` between them: one that Plivo
signed and somebody captured, and one that he sends instead; or one that is both. In the headers of
the second, `{v3 0 1}` stands for the captured request's V3 signature by token 0 at URL 1. What is
to be believed says an oracle in this file, which shares no line with the product.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

from plivostatusd.domain import signature
from plivostatusd.domain.errors import BadSignature, CallbackUnreadable
from plivostatusd.domain.signature import Key, Signed, Verdict, Verifier
from plivostatusd.web.callbacks import _route
from tests.fuzz import arrived

URLS: Final = ("https://sms.example.com", "https://old.example.com:8443/sms.d")
TOKENS: Final = ("a-token-for-tests", "the-token-before", "a-stranger's-token")
TRUSTED: Final = TOKENS[:2]
FAMILIES: Final = {"v3": "full", "v2": "url-only"}
BETWEEN: Final = b"\n=====\n"
WORDS: Final = (
    *b', ? & {"a":"b","c":1} "d":null, a=b&a= %2E'.split(),
    BETWEEN,
    b"x-plivo-signature-v3: {v3 0 0}\n",
    b"x-plivo-signature-ma-v3: {v3 1 0}\n",
    b"x-plivo-signature-v2: {v2 0 0}\n",
    b"x-plivo-signature-ma-v2: {v2 1 1}\n",
    b"x-plivo-signature-v3-nonce: 12345678\n",
    b"x-plivo-signature-v2-nonce: 12345678\n",
    b"{v3 2 0}",
    b"{v2 2 0}",
    b"{v3 0 1}",
    b"{v2 0 1}",
    b", ",
    b"\t",
    b"\n\n",
    b"POST /plivo/status\n",
    b"GET /plivo/status?a=b\n",
    b"GET /plivo/0a/status\n",
    b"content-type: application/json\n",
)

_KEYS: Final = [Key.of(f"auth_token {number}", token) for number, token in enumerate(TRUSTED)]
_LENIENT: Final = Verifier(_KEYS, URLS, minimum="url-only")
_STRICT: Final = Verifier(_KEYS, URLS, minimum="full")
_CAPTURED: Final = re.compile(r"\{(v[23]) ([0-2]) ([01])\}")

Pair = tuple[bytes, bytes]


@contextmanager
def opened(folder: Path) -> Iterator[Callable[[bytes], None]]:
    """Give the target."""
    del folder
    yield _check


def _check(content: bytes) -> None:
    first, between, second = content.partition(BETWEEN)
    captured, template = _callback(first), _callback(second if between else first)
    if captured is None or template is None:
        return
    headers = {
        name: _CAPTURED.sub(lambda match: _filled_in(captured, match), value)
        for name, value in template.headers.items()
    }
    request = replace(template, headers=headers)
    expected = _expected(request)
    verdict = _judge(request, _LENIENT)
    assert expected == (verdict if isinstance(verdict, str) else verdict.trust)
    if not isinstance(verdict, str):
        assert verdict.trust == FAMILIES[verdict.family.lower()]
        assert verdict.key in _KEYS
    _check_strict(request, verdict)
    _check_families_apart(captured, request)


def _callback(content: bytes) -> Signed | None:
    """Read a request that reaches the verifier."""
    request = arrived.read(content)
    if request is None or request.start_line.method not in {"GET", "POST"}:
        return None
    signed = request.signed
    return signed if _route(signed.path)[0] else None


def _judge(request: Signed, verifier: Verifier) -> Verdict | str:
    """Read and verify a request as the ingest flow does; a word where it is refused."""
    try:
        params, v3_can_sign = signature.parameters(request)
    except CallbackUnreadable:
        params, v3_can_sign = [], False
    try:
        return verifier.verify(request, params if v3_can_sign else None)
    except BadSignature as bad:
        return bad.reason


def _check_strict(request: Signed, verdict: Verdict | str) -> None:
    """Say that `callbacks.minimum_trust = full` lets the same through, but for what V2 signs."""
    strict = _judge(request, _STRICT)
    if isinstance(verdict, str) or verdict.trust == "full":
        assert verdict == strict
    else:
        assert strict == "too_weak"


def _check_families_apart(captured: Signed, request: Signed) -> None:
    """Say that no signature of one family can be passed off as one of the other."""
    for mine, other in (("v2", "v3"), ("v3", "v2")):
        assert set(_signatures(captured, mine)).isdisjoint(_signatures(request, other))


# The oracle


def _expected(request: Signed) -> str:
    """Say how far *request* is to be believed, or why it is not."""
    offered = {family: _offered(request, family) for family in FAMILIES}
    for family, trust in FAMILIES.items():
        if offered[family] & set(_signatures(request, family, TRUSTED)):
            return trust
    if not any(offered.values()):
        return "no_signature"
    nonces = [_nonce(request, family) for family in FAMILIES if offered[family]]
    return "mismatch" if any(nonces) else "malformed_nonce"


def _offered(request: Signed, family: str) -> set[str]:
    names = (f"x-plivo-signature-{family}", f"x-plivo-signature-ma-{family}")
    text = ",".join(request.headers.get(name, "") for name in names)
    return set(re.findall(r"[^,\t ](?:[^,]*[^,\t ])?", text))


def _nonce(request: Signed, family: str) -> str:
    given = request.headers.get(f"x-plivo-signature-{family}-nonce", "")
    return given if re.fullmatch(r"[\w-]{8,64}", given, re.ASCII) else ""


def _filled_in(captured: Signed, match: re.Match[str]) -> str:
    family, token, url = match.groups()
    return _signature(captured, family, TOKENS[int(token)], URLS[int(url)]) or "none"


def _signatures(request: Signed, family: str, tokens: tuple[str, ...] = TOKENS) -> Iterator[str]:
    """Give every signature of *family* that one of *tokens* makes of *request*."""
    for token, url in product(tokens, URLS):
        if made := _signature(request, family, token, url):
            yield made


def _signature(request: Signed, family: str, token: str, url: str) -> str:
    """Sign as Plivo does; nothing where it cannot: no good nonce, or a body that V3 cannot sign."""
    nonce = _nonce(request, family).encode()
    string = f"{url}{request.path}".encode("latin-1")
    if family == "v3":
        tail = _signed_tail(request)
        if tail is None:
            return ""
        string += tail + b"."
    if not nonce:
        return ""
    return b64encode(hmac.new(token.encode(), string + nonce, hashlib.sha256).digest()).decode()


def _signed_tail(request: Signed) -> bytes | None:
    query = _pairs(request.query or "")
    is_post = request.method == "POST"
    params = _body(request) if is_post else []
    if query is None or params is None:
        return None
    tail = b"?" if query or params else b""
    tail += b"&".join(name + b"=" + value for name, value in sorted(query))
    tail += b"." if query and params else b""
    return tail + b"".join(name + value for name, value in sorted(params))


def _pairs(encoded: str) -> list[Pair] | None:
    """Decode a form or query by the library's rules; None when a part of it is not UTF-8."""
    found = parse_qsl(encoded, keep_blank_values=True, encoding="latin-1")
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in found]
    try:
        return [pair for pair in pairs if [part.decode() for part in pair]]
    except UnicodeDecodeError:
        return None


def _body(request: Signed) -> list[Pair] | None:
    says_json = re.match(
        r"\s*application/json\s*(;|\Z)", request.headers.get("content-type", ""), re.IGNORECASE
    )
    if says_json or re.match(rb"\s*\{", request.body):
        return _members(request.body)
    return _pairs(request.body.decode("latin-1"))


class _Object(list[tuple[str, Any]]):
    """A JSON object's members, each as often as it stands there."""


def _members(body: bytes) -> list[Pair] | None:
    """Read a JSON object; None when it is none, or holds what V3 does not sign."""
    try:
        found = json.loads(body.decode(), object_pairs_hook=_Object, parse_int=str, parse_float=str)
        if not isinstance(found, _Object) or any(not isinstance(v, str) for _, v in found):
            return None
        return [(name.encode(), value.encode()) for name, value in found]
    except (ValueError, RecursionError):
        return None
