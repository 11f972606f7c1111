"""Forged callbacks: each must be wrong for a receiver that checks as it should."""

from __future__ import annotations

import random
from urllib.parse import parse_qs

import pytest
from plivo.utils import validate_signature
from plivo.utils.signature_v3 import validate_v3_signature

from plivostatusd.simulator import signed_request
from plivostatusd.simulator.callback import Callback
from plivostatusd.simulator.forgery import Kind, forge
from plivostatusd.simulator.options import Signatures

URL = "https://sms.example.com/plivo/5f2e/status"
TOKEN = "token"
FIELDS = {"MessageUUID": "u-1", "Status": "sent", "ErrorCode": "", "Sequence": "2", "To": "1415"}
PREFIX = "X-Plivo-Signature-"


def genuine(signatures: Signatures = "both", method: str = "POST", url: str = URL) -> Callback:
    """Make a callback that Plivo would send."""
    source = random.Random(1)
    return Callback(
        FIELDS,
        signed_request(
            method, url, FIELDS, TOKEN, main_token=TOKEN, signatures=signatures, source=source
        ),
    )


def forged(kind: Kind, original: Callback, url: str = URL) -> Callback | None:
    """Forge with a source of chance of its own."""
    return forge(kind, original, url, TOKEN, random.Random(2))


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("kind", Kind)
def test_claims_failed_and_fails_v3(kind: Kind, method: str) -> None:
    """Every forgery says `failed`, and none passes the SDK's check of V3."""
    made = forged(kind, genuine(method=method))
    assert made is not None
    assert (made.fields["Status"], made.fields["MessageUUID"]) == ("failed", "u-1")
    headers = made.request.headers
    assert not validate_v3_signature(
        method,
        made.request.url,
        headers.get(f"{PREFIX}V3-Nonce", "0" * 20),
        TOKEN,
        headers.get(f"{PREFIX}V3", ""),
        parse_qs(made.request.body.decode(), keep_blank_values=True),
    )


@pytest.mark.parametrize("url", [URL, f"{URL}?a=b"])
@pytest.mark.parametrize("kind", Kind)
def test_only_known_weaknesses_pass_v2(kind: Kind, url: str) -> None:
    """V2 alone believes the two that the nonce's rules must stop, and none of the others."""
    made = forged(kind, genuine(url=url), url)
    assert made is not None
    headers = made.request.headers
    passes = validate_signature(
        url, headers.get(f"{PREFIX}V2-Nonce", ""), headers.get(f"{PREFIX}V2", ""), TOKEN
    )
    assert passes is (kind in {Kind.V3_AS_V2, Kind.V3_STRIPPED})


def test_stripped_repeats_a_used_nonce() -> None:
    """`v3-stripped` comes with the very nonce of the genuine callback, and without V3."""
    original = genuine()
    made = forged(Kind.V3_STRIPPED, original)
    assert made is not None
    nonce = f"{PREFIX}V2-Nonce"
    assert original.request.headers[nonce] == made.request.headers[nonce]
    assert not [name for name in made.request.headers if name.endswith(("V3", "V3-Nonce"))]


def test_crossed_nonce_is_no_nonce() -> None:
    """`v3-as-v2` needs a nonce with `?` and `.` in it, which no genuine nonce has."""
    made = forged(Kind.V3_AS_V2, genuine())
    assert made is not None
    nonce = made.request.headers[f"{PREFIX}V2-Nonce"]
    assert (nonce[0], nonce[-21]) == ("?", ".")


@pytest.mark.parametrize(
    ("signatures", "missing"),
    [("v2", {Kind.FIELDS_CHANGED, Kind.V3_AS_V2}), ("v3", {Kind.V3_STRIPPED}), ("both", set())],
)
def test_a_missing_family_cannot_be_abused(signatures: Signatures, missing: set[Kind]) -> None:
    """A kind that needs a family which Plivo did not send is left out."""
    original = genuine(signatures)
    assert missing == {kind for kind in Kind if forged(kind, original) is None}
