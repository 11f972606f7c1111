"""The simulator's signatures against the checks of Plivo's own SDK."""

from __future__ import annotations

import random
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from plivo.utils import validate_signature
from plivo.utils.signature_v3 import validate_v3_signature

from plivostatusd.simulator import Signed, signed_request

URL = "https://sms.example.com/plivo/5f2e/status"
FIELDS = {"MessageUUID": "u-1", "Status": "delivered", "ErrorCode": "", "requester_ip": "::1"}


def v3_holds(request: Signed, token: str, header: str = "X-Plivo-Signature-V3") -> bool:
    """Ask the SDK about V3, in the way that a receiver would."""
    form = parse_qs(request.body.decode(), keep_blank_values=True)
    return bool(
        validate_v3_signature(
            request.method,
            request.url,
            request.headers["X-Plivo-Signature-V3-Nonce"],
            token,
            request.headers[header],
            form,
        )
    )


def v2_holds(request: Signed, token: str, header: str = "X-Plivo-Signature-V2") -> bool:
    """Ask the SDK about V2."""
    nonce = request.headers["X-Plivo-Signature-V2-Nonce"]
    return bool(validate_signature(request.url, nonce, request.headers[header], token))


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize(
    "url", [URL, f"{URL}?b=2&a=1", "http://127.0.0.1:8787/p%C3%A4th/status", f"{URL}?a="]
)
def test_sdk_accepts_both_families(method: str, url: str) -> None:
    """What is signed here passes the SDK's checks of V2 and V3, for forms and for queries."""
    request = signed_request(method, url, FIELDS, "token", main_token="main")
    checks = (
        v2_holds(request, "token"),
        v2_holds(request, "main", "X-Plivo-Signature-Ma-V2"),
        v3_holds(request, "token"),
        v3_holds(request, "main", "X-Plivo-Signature-Ma-V3"),
    )
    assert checks == (True, True, True, True)
    assert (v2_holds(request, "other"), v3_holds(request, "other")) == (False, False)


def test_sdk_accepts_random_forms() -> None:
    """V3 holds for fields of any text, blanks and repeats included."""
    source = random.Random(7)
    letters = "aB1 ?&=+%ü漢.~\n"
    for _ in range(300):
        fields = {
            f"k{number}{source.choice('aZ-_')}": source.choice(
                ["", "".join(source.choices(letters, k=5)), ["b", "a"]]
            )
            for number in range(source.randrange(1, 6))
        }
        assert v3_holds(signed_request("POST", URL, fields, "token", source=source), "token")


def test_fields_travel_whole() -> None:
    """A form, or the query of a GET, holds every field, blank ones too, beside the url's own."""
    posted = signed_request("POST", URL, FIELDS, "token")
    asked = signed_request("GET", f"{URL}?mine=1", FIELDS, "token")
    pairs = list(FIELDS.items())
    assert pairs == parse_qsl(posted.body.decode(), keep_blank_values=True)
    assert [("mine", "1"), *pairs] == parse_qsl(urlsplit(asked.url).query, keep_blank_values=True)
    assert asked.target == asked.url.removeprefix("https://sms.example.com")
    assert asked.body == b""


def test_several_tokens_make_a_list() -> None:
    """Each token signs: the header holds one signature a token, and the SDK takes any in V3."""
    request = signed_request("POST", URL, FIELDS, ["old", "new"])
    assert [request.headers[f"X-Plivo-Signature-V{n}"].count(",") for n in (2, 3)] == [1, 1]
    assert [v3_holds(request, token) for token in ("old", "new")] == [True, True]


def test_families_and_main_are_left_away() -> None:
    """A family that is not asked for, and `Ma-` without a main token, send no header at all."""
    v2 = signed_request("POST", URL, FIELDS, "token", signatures="v2")
    v3 = signed_request("POST", URL, FIELDS, "token", main_token="m", signatures="v3")
    prefix = "X-Plivo-Signature-"
    assert {f"{prefix}V2", f"{prefix}V2-Nonce", "Content-Type"} == set(v2.headers)
    assert {f"{prefix}V3", f"{prefix}Ma-V3", f"{prefix}V3-Nonce", "Content-Type"} == set(v3.headers)


def test_nonces_are_twenty_digits() -> None:
    """Nonces are 20 digits, leading zeros kept, different for the two families."""
    source = random.Random(1)
    for _ in range(50):
        headers = signed_request("POST", URL, FIELDS, "token", source=source).headers
        pair = [headers[f"X-Plivo-Signature-V{number}-Nonce"] for number in (2, 3)]
        assert all(len(nonce) == 20 and nonce.isdigit() for nonce in pair)
        assert len(set(pair)) == 2


def test_a_seed_repeats_the_request() -> None:
    """The same source of chance gives the same request; given nonces are taken as they are."""
    first, again = (
        signed_request("POST", URL, FIELDS, "token", source=random.Random(3)) for _ in range(2)
    )
    assert first == again
    given = signed_request("POST", URL, FIELDS, "token", nonces=("12345678", "87654321"))
    assert given.headers["X-Plivo-Signature-V2-Nonce"] == "12345678"
    assert given.headers["X-Plivo-Signature-V3-Nonce"] == "87654321"
