from __future__ import annotations

import pytest

from plivostatusd.domain import signature
from plivostatusd.domain.errors import CallbackUnreadable
from plivostatusd.domain.signature import Key, Signed, Verdict, Verifier, sign
from plivostatusd.domain.statuses import Trust
from tests.unit.signed_requests import FORM, JSON, PATH, judge, reason, strings

URL = "https://hooks.example.com"
TOKEN = "a-token-for-tests"
KEY = Key.of("main", TOKEN)
OTHER = Key.of("other", "another-token")
NONCE_V3 = "05429567804466091622"
NONCE_V2 = "31627761595286130198"


BODY = b"MessageUUID=83876bdb-2033-4876-bfaf-0ff8693705af&Status=sent&ErrorCode=&To=1+2"


def signed(  # noqa: PLR0913 - each has a default that suits most tests
    *,
    v3: Key | None = None,
    v2: Key | None = None,
    main: bool = False,
    base: str = URL,
    body: bytes = BODY,
    content_type: dict[str, str] = FORM,
) -> Signed:
    """Sign a callback as Plivo would, with the keys that are given."""
    infix = "ma-" if main else ""
    headers = {
        **content_type,
        "x-plivo-signature-v3-nonce": NONCE_V3,
        "x-plivo-signature-v2-nonce": NONCE_V2,
    }
    bare = Signed("POST", PATH, None, headers, body)
    string = strings(bare, base + PATH)
    for name, key in (("v3", v3), ("v2", v2)):
        if key:
            headers[f"x-plivo-signature-{infix}{name}"] = sign(key.token, string[name]).decode()
    return bare


def verifier(*keys: Key, urls: tuple[str, ...] = (URL,), minimum: Trust = "url-only") -> Verifier:
    """Make a judge; without keys it has the one that signs by default."""
    return Verifier(keys or (KEY,), urls, minimum=minimum)


def test_v3_is_full_trust() -> None:
    """A V3 signature proves the whole request, whatever V2 says beside it."""
    for request in (signed(v3=KEY), signed(v3=KEY, v2=KEY), signed(v3=KEY, v2=OTHER)):
        assert judge(request, verifier()) == Verdict("full", "V3", KEY, URL + PATH)


def test_v2_is_trust_in_the_url() -> None:
    """A V2 signature proves the URL alone, even beside a V3 one that fails."""
    for request in (signed(v2=KEY), signed(v2=KEY, v3=OTHER)):
        assert judge(request, verifier()) == Verdict("url-only", "V2", KEY, URL + PATH)


def test_minimum_trust_full() -> None:
    """Where full trust is asked for, what only V2 signs is too weak; V3 passes."""
    strict = verifier(minimum="full")
    assert judge(signed(v3=KEY), strict).trust == "full"
    assert reason(signed(v2=KEY), strict) == "too_weak"
    assert reason(signed(v2=OTHER), strict) == "mismatch"


def test_the_main_account_signs_too() -> None:
    """The Ma- headers are as good as the plain ones, in both families."""
    assert judge(signed(v3=KEY, main=True), verifier()).trust == "full"
    assert judge(signed(v2=KEY, main=True), verifier()).trust == "url-only"


def test_the_plain_header_may_fail() -> None:
    """A plain header that fails does not spoil the Ma- header beside it, nor the other way."""
    request = signed(v3=KEY, main=True)
    headers = {**request.headers, "x-plivo-signature-v3": "bm90IGl0"}
    assert judge(Signed("POST", PATH, None, headers, BODY), verifier()).trust == "full"


def test_several_tokens() -> None:
    """Any configured token verifies, and the verdict says which."""
    for key in (KEY, OTHER):
        assert key == judge(signed(v3=key), verifier(KEY, OTHER)).key
        assert key == judge(signed(v2=key), verifier(KEY, OTHER)).key
    assert reason(signed(v3=OTHER, v2=OTHER), verifier(KEY)) == "mismatch"


def test_no_token_verifies_nothing() -> None:
    """Without keys everything is refused."""
    nobody = Verifier((), (URL,), minimum="url-only")
    assert reason(signed(v3=KEY, v2=KEY), nobody) == "mismatch"


def test_several_urls() -> None:
    """Any public URL verifies, a prefix that the proxy strips included."""
    urls = (URL, "https://old.example.com:8443", "https://old.example.com/sms")
    for url in urls:
        for request in (signed(v3=KEY, base=url), signed(v2=KEY, base=url)):
            assert judge(request, verifier(urls=urls)).base == url + PATH
    assert (
        reason(signed(v3=KEY, base="https://elsewhere.example"), verifier(urls=urls)) == "mismatch"
    )


@pytest.mark.parametrize("name", ["host", "x-forwarded-host", "x-forwarded-proto", "forwarded"])
def test_other_headers_are_not_looked_at(name: str) -> None:
    """What a request says of its own address changes nothing."""
    request = signed(v3=KEY, base="https://evil.example")
    headers = {**request.headers, name: "evil.example"}
    assert reason(Signed("POST", PATH, None, headers, BODY), verifier()) == "mismatch"


@pytest.mark.parametrize("name", ["v2", "v3"])
@pytest.mark.parametrize("spelling", ["{0}", " {0}\t", "x,{0}", "x, {0} ,y", ",,{0},", "é,{0}"])
def test_lists(name: str, spelling: str) -> None:
    """A header may hold several signatures, with blanks around the commas."""
    request = signed(v2=KEY, v3=KEY)
    field = f"x-plivo-signature-{name}"
    headers = {field: spelling.format(request.headers[field])}
    headers[f"{field}-nonce"] = request.headers[f"{field}-nonce"]
    family = judge(Signed("POST", PATH, None, FORM | headers, BODY), verifier()).family
    assert family == name.upper()


@pytest.mark.parametrize("header", ["", ",", " , ,\t", ",,,"])
def test_no_signature(header: str) -> None:
    """An empty header, or one of commas alone, is no signature."""
    headers = {
        **FORM,
        "x-plivo-signature-v3": header,
        "x-plivo-signature-ma-v2": header,
        "x-plivo-signature-v3-nonce": NONCE_V3,
        "x-plivo-signature-v2-nonce": NONCE_V2,
    }
    assert reason(Signed("POST", PATH, None, headers, BODY), verifier()) == "no_signature"
    assert reason(Signed("POST", PATH, None, FORM, BODY), verifier()) == "no_signature"


@pytest.mark.parametrize(
    "nonce",
    [
        "",
        "1234567",
        "x" * 65,
        "12345678.",
        "?A1B2.12345678",
        "a/12345678",
        "123 45678",
        "12345678,1",
    ],
)
def test_malformed_nonces(nonce: str) -> None:
    """A signature over a nonce that could pass as something else is not even tried."""
    for name, string in strings(
        Signed(
            "POST",
            PATH,
            None,
            {"x-plivo-signature-v2-nonce": nonce, "x-plivo-signature-v3-nonce": nonce},
            b"",
        ),
        URL + PATH,
    ).items():
        field = f"x-plivo-signature-{name}"
        headers = {field: sign(KEY.token, string).decode(), f"{field}-nonce": nonce}
        request = Signed("POST", PATH, None, headers, b"")
        assert reason(request, verifier()) == "malformed_nonce"


@pytest.mark.parametrize("nonce", ["12345678", "x" * 64, "f4b1c2d3e5", "aZ_-09aZ"])
def test_well_formed_nonces(nonce: str) -> None:
    """Eight to sixty-four letters, digits, _ and - make a nonce."""
    string = signature.v2_string(URL + PATH, nonce)
    headers = {
        "x-plivo-signature-v2": sign(KEY.token, string).decode(),
        "x-plivo-signature-v2-nonce": nonce,
    }
    assert judge(Signed("POST", PATH, None, headers, b""), verifier()).trust == "url-only"


def test_the_tutorials_rule() -> None:
    """A signature over URL and nonce under V3's name is refused, unless V3 says the same."""
    nonce = {"x-plivo-signature-v3-nonce": NONCE_V3}
    for string in (f"{URL}{PATH}{NONCE_V3}", f"{URL}{PATH}.{NONCE_V3}"):
        headers = {**nonce, "x-plivo-signature-v3": sign(KEY.token, string.encode()).decode()}
        assert reason(Signed("POST", PATH, None, FORM | headers, BODY), verifier()) == "mismatch"
        # An empty request has nothing but URL, dot and nonce, and that is V3's own string.
        empty = Signed("POST", PATH, None, FORM | headers, b"")
        if "." + NONCE_V3 in string:
            assert judge(empty, verifier()).trust == "full"
        else:
            assert reason(empty, verifier()) == "mismatch"


def test_families_do_not_mix() -> None:
    """A signature of one family is none of the other, under either nonce."""
    request = signed(v2=KEY, v3=KEY)
    v2, v3 = (request.headers[f"x-plivo-signature-{name}"] for name in ("v2", "v3"))
    for first, second in ((NONCE_V2, NONCE_V3), (NONCE_V3, NONCE_V2)):
        headers = {
            **FORM,
            "x-plivo-signature-v3": v2,
            "x-plivo-signature-v3-nonce": first,
            "x-plivo-signature-v2": v3,
            "x-plivo-signature-v2-nonce": second,
        }
        assert reason(Signed("POST", PATH, None, headers, BODY), verifier()) == "mismatch"


@pytest.mark.parametrize(
    ("body", "pairs", "v3_can_sign"),
    [
        (b'{"A": "x", "B": 1, "C": 1.50}', [(b"A", b"x"), (b"B", b"1"), (b"C", b"1.50")], True),
        (
            b'{"A": -0, "B": 1E5, "C": 1e-07}',
            [(b"A", b"-0"), (b"B", b"1E5"), (b"C", b"1e-07")],
            True,
        ),
        (b'{"A": ' + b"1" * 5000 + b"}", [(b"A", b"1" * 5000)], True),
        (b'{"A": "1", "A": "2"}', [(b"A", b"1"), (b"A", b"2")], True),
        ('{"é": "✓\\u00e9"}'.encode(), [("é".encode(), "✓é".encode())], True),
        (b"{}", [], True),
        (b'{"A": "x", "B": true}', [(b"A", b"x")], False),
        (b'{"A": "x", "B": null}', [(b"A", b"x")], False),
        (b'{"A": "x", "B": []}', [(b"A", b"x")], False),
        (b'{"A": "x", "B": ["y"]}', [(b"A", b"x")], False),
        (b'{"A": "x", "B": {"C": "D"}}', [(b"A", b"x")], False),
        (b'{"A": "x", "B": NaN}', [(b"A", b"x")], False),
    ],
)
def test_json(body: bytes, pairs: list[signature.Pair], *, v3_can_sign: bool) -> None:
    """Strings and numbers at the top are pairs, numbers spelt as they came; V3 signs no more."""
    assert (pairs, v3_can_sign) == signature.pairs_of_json(body)


def test_flat_json_is_signed_by_v3() -> None:
    """JSON of strings and numbers alone is proved by V3 as the form of the same pairs is."""
    as_form = signed(v3=KEY, body=b"A=x&B=1.50")
    headers = {**as_form.headers, **JSON}
    request = Signed("POST", PATH, None, headers, b'{"B": 1.50, "A": "x"}')
    assert judge(request, verifier()).trust == "full"


@pytest.mark.parametrize("value", [b"[]", b"{}", b'{"C": "D"}', b"true", b"null"])
def test_nested_json_is_signed_by_v2_alone(value: bytes) -> None:
    """Whatever JSON V3 cannot sign passes by V2, and by V2 alone."""
    body = b'{"A": "x", "B": %b}' % value
    assert reason(signed(v3=KEY, body=body, content_type=JSON), verifier()) == "mismatch"
    both = signed(v3=KEY, v2=KEY, body=body, content_type=JSON)
    assert judge(both, verifier()).trust == "url-only"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'[["A", "x"]]',
        b'"A"',
        b"1",
        b"null",
        b'{"A": "\xff"}',
        b'{"A": "\\ud800"}',
        b'{"\\udfff": "A"}',
        b'{"A": ' + b"[" * 100_000,
        '{"A": "x"}'.encode("utf-16"),
        b'\xef\xbb\xbf{"A": "x"}',
    ],
)
def test_no_json_object(body: bytes) -> None:
    """What is no JSON object in UTF-8 cannot be read."""
    with pytest.raises(CallbackUnreadable):
        signature.pairs_of_json(body)


@pytest.mark.parametrize(
    ("content_type", "body", "is_json"),
    [
        ("application/json", b"", True),
        ("Application/JSON ; charset=utf-8", b"", True),
        ("application/x-www-form-urlencoded", b' {"A": 1}', True),
        ("", b"{", True),
        ("application/x-www-form-urlencoded", b"A=%7B", False),
        ("application/jsonish", b"A=1", False),
        ("", b"", False),
    ],
)
def test_what_is_json(content_type: str, body: bytes, *, is_json: bool) -> None:
    """JSON is known by its type, or by its first byte."""
    headers = {"content-type": content_type} if content_type else {}
    assert is_json == signature.is_json(Signed("POST", PATH, None, headers, body))


@pytest.mark.parametrize(
    ("encoded", "pairs"),
    [
        (b"", []),
        (b"&&", []),
        (b"=", [(b"", b"")]),
        (b"a", [(b"a", b"")]),
        (b"a=", [(b"a", b"")]),
        (b"=a", [(b"", b"a")]),
        (b"a=b=c", [(b"a", b"b=c")]),
        (b"a=1&b=2&a=3", [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]),
        (b"a+b=c+d", [(b"a b", b"c d")]),
        (b"a%2Bb=%26%3d", [(b"a+b", b"&=")]),
        (b"a=1;b=2", [(b"a", b"1;b=2")]),
        (b"a=%zz%4", [(b"a", b"%zz%4")]),
        (b"a=%00%0A", [(b"a", b"\x00\n")]),
        (b"%C3%A9=\xc3\xa9", [("é".encode(), "é".encode())]),
    ],
)
def test_forms(encoded: bytes, pairs: list[signature.Pair]) -> None:
    """A form is split and decoded with blanks, repeats and order kept."""
    assert pairs == signature.pairs_of(encoded)


@pytest.mark.parametrize(
    "encoded", [b"a=%FF", b"\xff=1", b"%C3=%A9", b"a=%C3&%A9=", b"a=%ED%A0%80"]
)
def test_not_utf8(encoded: bytes) -> None:
    """A name or a value that is no UTF-8 by itself cannot be read."""
    with pytest.raises(CallbackUnreadable):
        signature.pairs_of(encoded)


def test_an_unreadable_query_leaves_v2() -> None:
    """A query that is no UTF-8 cannot have been signed by V3; V2 does not look at it."""
    request = signed(v2=KEY, v3=KEY)
    strange = Signed("POST", PATH, "a=%FF", request.headers, BODY)
    assert judge(strange, verifier()).trust == "url-only"


def test_a_get_says_what_its_query_says() -> None:
    """The parameters of a GET are its query's, whatever stands in its body."""
    request = Signed("GET", PATH, "a=1&b=", JSON, b"{}")
    assert signature.parameters(request) == ([(b"a", b"1"), (b"b", b"")], True)
    assert signature.parameters(Signed("GET", PATH, None, {}, b"")) == ([], True)


def test_same_requests() -> None:
    """Method, raw target and raw body tell requests apart; headers do not."""
    request = Signed("POST", PATH, None, {}, BODY)
    assert request.digest == Signed("POST", PATH, None, FORM, BODY).digest
    others = [
        Signed("GET", PATH, None, {}, BODY),
        Signed("POST", f"{PATH}/", None, {}, BODY),
        Signed("POST", PATH, "", {}, BODY),
        Signed("POST", PATH, "a=1", {}, BODY),
        Signed("POST", PATH, None, {}, BODY + b"&"),
        Signed("POST", PATH, None, {}, b""),
        Signed("POST", PATH, "é", {}, BODY),
    ]
    digests = [other.digest for other in (request, *others)]
    assert len(digests) == len(set(digests))


def test_targets() -> None:
    """The raw target keeps a question mark with nothing behind it."""
    for query, target in ((None, PATH), ("", f"{PATH}?"), ("a=%41", f"{PATH}?a=%41")):
        assert target == Signed("POST", PATH, query, {}, b"").target


@pytest.mark.parametrize(
    ("v3", "v2", "nonces"),
    [
        (None, None, ()),
        (NONCE_V3, None, (NONCE_V3,)),
        (NONCE_V3, NONCE_V2, (NONCE_V3, NONCE_V2)),
        (NONCE_V3, NONCE_V3, (NONCE_V3,)),
        ("short", NONCE_V2, (NONCE_V2,)),
        ("", "a b c d e f", ()),
    ],
)
def test_nonces(v3: str | None, v2: str | None, nonces: tuple[str, ...]) -> None:
    """Every well-formed nonce that a request bears is known, once, signed or not."""
    given = {"x-plivo-signature-v3-nonce": v3, "x-plivo-signature-v2-nonce": v2}
    headers = {name: value for name, value in given.items() if value is not None}
    assert nonces == Signed("POST", PATH, None, headers, b"").nonces


def test_keys_keep_their_tokens() -> None:
    """A key can be printed; its fingerprint tells tokens apart, and says nothing of them."""
    assert TOKEN not in repr(KEY)
    assert KEY.fingerprint in repr(KEY)
    assert KEY.fingerprint == Key.of("another name", TOKEN).fingerprint
    assert verifier(KEY, OTHER).fingerprints == {KEY.fingerprint, OTHER.fingerprint}


def test_headers_that_are_kept() -> None:
    """Signatures, nonces and the type are kept beside what they vouch for, and nothing else."""
    headers = {"host": "x", "x-plivo-signature-v3": "s", "content-type": "t", "cookie": "c"}
    kept = {"x-plivo-signature-v3": "s", "content-type": "t"}
    assert kept == dict(signature.signature_headers(headers))
