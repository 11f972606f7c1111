"""The Plivo SDK's own functions are the oracle: what they sign is proved, and nothing else."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from urllib.parse import quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plivo.utils import signature_v3 as sdk_v3
from plivo.utils import validate_signature as sdk_validate_v2

from plivostatusd.domain import signature
from plivostatusd.domain.errors import BadSignature
from plivostatusd.domain.signature import Key, Signed, Verifier

URL = "https://hooks.example.com:8443/sms"
PATH = "/plivo/0123456789abcdef/status"
TOKEN = "a-token-for-tests"
VERIFIER = Verifier([Key.of("main", TOKEN)], [URL], minimum="url-only")

Texts = Sequence[tuple[str, str]]

# Few letters, so that keys repeat and signs that mean something in a form are met often.
ascii_words = st.text("abAB01 =&+%;.?_-", max_size=6) | st.text(
    st.characters(max_codepoint=126), max_size=12
)
words = ascii_words | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
nonces = st.from_regex(r"[A-Za-z0-9_-]{8,64}", fullmatch=True)
ascii_forms = st.lists(st.tuples(ascii_words, ascii_words), max_size=6)
forms = st.lists(st.tuples(words, words), max_size=6)


def encoded(pairs: Texts) -> str:
    """Spell *pairs* as a form, in their order."""
    return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs)


def gathered(pairs: Texts) -> dict[str, str | list[str]]:
    """Give *pairs* as the SDK takes them: a list for what is repeated."""
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}


def sdk_signature(method: str, query: str | None, params: Texts, nonce: str) -> str:
    """Sign as the SDK does."""
    uri = f"{URL}{PATH}" if query is None else f"{URL}{PATH}?{query}"
    build = sdk_v3.construct_get_url if method == "GET" else sdk_v3.construct_post_url
    string = bytes(build(uri, gathered(params))).decode()
    return bytes(sdk_v3.get_signature_v3(TOKEN.encode(), string, nonce)).decode()


def sdk_accepts(request: Signed, params: Texts) -> bool:
    """Say what the SDK's own check says."""
    uri = f"{URL}{request.target}"
    nonce = request.headers["x-plivo-signature-v3-nonce"]
    given = request.headers["x-plivo-signature-v3"]
    fields = gathered(params)
    accepts = sdk_v3.validate_v3_signature(request.method, uri, nonce, TOKEN, given, fields)
    return bool(accepts)


def request_of(method: str, query: str | None, body: str, nonce: str, given: str) -> Signed:
    """Make a request with a V3 signature."""
    headers = {"x-plivo-signature-v3": given, "x-plivo-signature-v3-nonce": nonce}
    return Signed(method, PATH, query, headers, body.encode())


def accepts(request: Signed) -> bool:
    """Say what our check says."""
    params, v3_can_sign = signature.parameters(request)
    try:
        VERIFIER.verify(request, params if v3_can_sign else None)
    except BadSignature:
        return False
    return True


def by_the_rule(method: str, query: Texts, params: Texts, nonce: str) -> str:
    """Sign by the rule as it is written down, which holds where the SDK raises."""
    parts = "&".join(f"{name}={value}" for name, value in sorted(query))
    if method == "POST" and params:
        spelt = "".join(f"{name}{value}" for name, value in sorted(params))
        parts = f"?{parts}.{spelt}" if query else f"?{spelt}"
    elif parts:
        parts = f"?{parts}"
    string = f"{URL}{PATH}{parts}.{nonce}".encode()
    return b64encode(hmac.digest(TOKEN.encode(), string, "sha256")).decode()


@settings(max_examples=450)
@given(forms, nonces)
def test_post(params: Texts, nonce: str) -> None:
    """A form without a query is proved by what the SDK signs, repeats, blanks and all."""
    given_as = sdk_signature("POST", None, params, nonce)
    request = request_of("POST", None, encoded(params), nonce, given_as)
    assert sdk_accepts(request, params)
    assert accepts(request)


@settings(max_examples=450)
@given(ascii_forms, forms, nonces)
def test_post_with_query(query: Texts, params: Texts, nonce: str) -> None:
    """A form behind a URL with a query of its own is proved by what the SDK signs."""
    given_as = sdk_signature("POST", encoded(query), params, nonce)
    request = request_of("POST", encoded(query), encoded(params), nonce, given_as)
    assert sdk_accepts(request, params)
    assert accepts(request)


@settings(max_examples=450)
@given(ascii_forms, nonces)
def test_get(query: Texts, nonce: str) -> None:
    """A query alone is proved by what the SDK signs of it."""
    given_as = sdk_signature("GET", encoded(query), [], nonce)
    request = request_of("GET", encoded(query), "", nonce, given_as)
    assert sdk_accepts(request, [])
    assert accepts(request)


@settings(max_examples=250)
@given(ascii_forms, forms, nonces, st.sampled_from(["GET", "POST"]))
def test_the_rule_is_the_sdks(query: Texts, params: Texts, nonce: str, method: str) -> None:
    """The rule as it is written down signs what the SDK signs, wherever that does not raise."""
    fields = [] if method == "GET" else params
    assert by_the_rule(method, query, fields, nonce) == sdk_signature(
        method, encoded(query), fields, nonce
    )


@settings(max_examples=450)
@given(forms, forms, nonces, st.sampled_from(["GET", "POST"]))
def test_where_the_sdk_fails(query: Texts, params: Texts, nonce: str, method: str) -> None:
    """A query beyond ASCII, which the SDK cannot read, is proved by the rule."""
    body = "" if method == "GET" else encoded(params)
    given_as = by_the_rule(method, query, params if body else [], nonce)
    request = request_of(method, encoded(query), body, nonce, given_as)
    if not "".join(name + value for name, value in query).isascii():
        # It raises on Python 3.11, and takes bytes for letters on 3.13.
        with suppress(UnicodeEncodeError):
            assert not sdk_accepts(request, params)
    assert accepts(request)


@settings(max_examples=450)
@given(ascii_forms, forms, forms, nonces)
def test_another_body(query: Texts, params: Texts, others: Texts, nonce: str) -> None:
    """A signature is accepted over another body exactly where the SDK accepts it, too."""
    given_as = sdk_signature("POST", encoded(query), params, nonce)
    request = request_of("POST", encoded(query), encoded(others), nonce, given_as)
    assert sdk_accepts(request, others) == accepts(request)


@settings(max_examples=250)
@given(ascii_forms, ascii_forms, nonces)
def test_another_query(query: Texts, others: Texts, nonce: str) -> None:
    """A signature is accepted over another query exactly where the SDK accepts it, too."""
    given_as = sdk_signature("GET", encoded(query), [], nonce)
    request = request_of("GET", encoded(others), "", nonce, given_as)
    assert sdk_accepts(request, []) == accepts(request)


@settings(max_examples=250)
@given(forms, nonces, st.permutations(range(6)))
def test_order(params: Texts, nonce: str, order: Sequence[int]) -> None:
    """The order in which fields arrive changes nothing."""
    shuffled = [params[index] for index in order if index < len(params)]
    given_as = sdk_signature("POST", None, params, nonce)
    assert accepts(request_of("POST", None, encoded(shuffled), nonce, given_as))


@settings(max_examples=250)
@given(nonces, nonces, forms)
def test_v2(nonce: str, other: str, params: Texts) -> None:
    """V2 signs URL and nonce: the SDK agrees, the body does not matter, another nonce fails."""
    string = signature.v2_string(URL + PATH, nonce)
    given_as = signature.sign(TOKEN.encode(), string).decode()
    for used in (nonce, other):
        headers = {"x-plivo-signature-v2": given_as, "x-plivo-signature-v2-nonce": used}
        request = Signed("POST", PATH, None, headers, encoded(params).encode())
        assert sdk_validate_v2(URL + PATH, used, given_as, TOKEN) == accepts(request)
        assert accepts(request) == (used == nonce)


headers = st.dictionaries(
    st.sampled_from(
        [
            f"x-plivo-signature-{name}"
            for name in ("v2", "v3", "ma-v2", "ma-v3", "v2-nonce", "v3-nonce")
        ]
    ),
    st.text(st.characters(max_codepoint=255), max_size=40),
)


@settings(max_examples=250)
@given(headers, st.binary(max_size=60), st.binary(max_size=40))
def test_anything(given_as: Mapping[str, str], body: bytes, query: bytes) -> None:
    """Whatever headers, body and query hold, nothing is proved, and nothing breaks."""
    request = Signed("POST", PATH, query.decode("latin-1"), given_as, body)
    for params in (None, [], [(b"a", b"b")]):
        with pytest.raises(BadSignature):
            VERIFIER.verify(request, params)
    assert len(request.digest) == 16
    assert len(request.nonces) <= 2
