"""Each signature of a request, checked by itself."""

from __future__ import annotations

import pytest

from plivostatusd.domain import evidence, signature
from plivostatusd.domain.signature import Key, Signed

OLD, NEW = Key.of("auth_token 2", "old-token"), Key.of("auth_token 1", "new-token")
FIRST, SECOND = "https://old.example.com", "https://sms.example.com/x"
PATH = "/plivo/status"
NONCE = "12345678901234567890"
BODY = b"MessageUUID=u&Status=sent"


def signed(body: bytes = BODY, nonce: str = NONCE, **headers: str) -> Signed:
    """Make a request with these signature headers, `_` for `-`."""
    spelt = {
        f"x-plivo-signature-{name.replace('_', '-')}": value for name, value in headers.items()
    }
    nonces = {f"x-plivo-signature-{family}-nonce": nonce for family in ("v2", "v3")}
    return Signed("POST", PATH, None, spelt | nonces, body)


def v2(key: Key, url: str) -> str:
    """Sign by V2."""
    return signature.sign(key.token, signature.v2_string(f"{url}{PATH}", NONCE)).decode()


def v3(key: Key, url: str) -> str:
    """Sign by V3."""
    tail = signature.v3_tail("POST", [], signature.pairs_of(BODY), NONCE)
    return signature.sign(key.token, f"{url}{PATH}".encode() + tail).decode()


def found(request: Signed) -> list[tuple[str, str | None, str | None]]:
    """Check a request, and give header, token and URL of each signature."""
    checked = evidence.check(request, [NEW, OLD], [FIRST, SECOND])
    return [
        (each.header.removeprefix("x-plivo-signature-"), each.token, each.url) for each in checked
    ]


def test_each_by_itself() -> None:
    """Every signature of every header is told: by which token, over which URL, or nobody's."""
    request = signed(
        v3=f"{v3(OLD, SECOND)}, bogus",
        ma_v3=v3(Key.of("main", "x"), FIRST),
        v2=v2(NEW, FIRST),
        ma_v2=v2(OLD, SECOND),
    )
    assert [
        ("v3", OLD.name, f"{SECOND}{PATH}"),
        ("v3", None, None),
        ("ma-v3", None, None),
        ("v2", NEW.name, f"{FIRST}{PATH}"),
        ("ma-v2", OLD.name, f"{SECOND}{PATH}"),
    ] == found(request)


def test_the_others_string_is_no_proof() -> None:
    """A signature under the other family's name proves nothing."""
    assert [("v3", None, None), ("v2", None, None)] == found(
        signed(v3=v2(NEW, FIRST), v2=v3(NEW, FIRST))
    )


@pytest.mark.parametrize("body", [b'{"a": null}', b"{", b"\xff"])
def test_what_v3_cannot_sign(body: bytes) -> None:
    """A body that V3 cannot sign leaves V2's word, which does not cover it."""
    request = signed(body=body, v3=v3(NEW, FIRST), v2=v2(NEW, FIRST))
    assert [("v3", None, None), ("v2", NEW.name, f"{FIRST}{PATH}")] == found(request)


def test_without_a_nonce() -> None:
    """Without a nonce that is one nothing is proved."""
    assert [("v2", None, None)] == found(signed(nonce="a?b", v2=v2(NEW, FIRST)))


def test_what_is_covered() -> None:
    """Each says how far its signature reaches."""
    checked = evidence.check(signed(v3=v3(NEW, FIRST), v2=v2(NEW, FIRST)), [NEW], [FIRST])
    assert ["method, URL, query and form", "URL without its query"] == [c.covers for c in checked]


def test_no_signature() -> None:
    """A request without a signature has none to check."""
    assert [] == found(signed())
