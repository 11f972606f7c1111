from __future__ import annotations

import json
from typing import Any

import pytest

from plivostatusd.store import spooled
from tests.unit.store_place import arrival

REQUEST = (
    b"POST /plivo/0123abcd/status?a\nx-plivo-signature-v2: s\nx-plivo-signature-v2-nonce: 12345678"
    b"\n\nStatus=sent&To=14155552323\n\n&x=\xff"
)
HEAD: dict[str, Any] = {
    "ref": "0123abcd",
    "trust": "url-only",
    "key_name": "auth_token 1",
    "key_fingerprint": "00ff 11ee",
    "received_us": 1_790_000_000_000_000,
    "message_id": "0192f0c8-1234-7abc-8def-0123456789ab",
}


def record(head: object) -> bytes:
    """Spell a record with *head* in front."""
    return json.dumps(head).encode() + b"\n" + REQUEST


def test_there_and_back() -> None:
    """A record is read as what it was made of: what was found, and the request byte for byte."""
    read = spooled.unpack(record(HEAD))
    assert HEAD == {name: getattr(read, name) for name in HEAD}
    assert REQUEST == read.raw
    assert ("12345678",) == read.nonces
    assert read == spooled.unpack(spooled.pack(read))


def test_what_verification_makes() -> None:
    """Everything that a verified callback may be found to be can be read again."""
    for ref, trust in ((None, "full"), ("a_b-C", "url-only")):
        given = arrival(message_uuid=None, ref=ref, trust=trust)
        read = spooled.unpack(spooled.pack(given))
        assert (ref, trust, given.raw) == (read.ref, read.trust, read.raw)


def test_a_word_more() -> None:
    """A record of a version that knows more is read all the same: it was acknowledged."""
    assert spooled.unpack(record(HEAD)) == spooled.unpack(record({**HEAD, "more": [1]}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ref", 1),
        ("ref", "a/b"),
        ("trust", "api"),
        ("trust", ["full"]),
        ("key_name", None),
        ("key_fingerprint", "\ud800"),
        ("received_us", True),
        ("received_us", 1.5),
        ("received_us", -1),
        ("received_us", 10**17),
        ("message_id", "0192f0c8"),
        ("message_id", 1),
    ],
)
def test_what_nobody_put_there(name: str, value: object) -> None:
    """What no verification finds is no record, so nothing of it reaches the store."""
    with pytest.raises(ValueError, match=name):
        spooled.unpack(record({**HEAD, name: value}))
    with pytest.raises(ValueError, match=name):
        spooled.unpack(record({other: HEAD[other] for other in HEAD if other != name}))


@pytest.mark.parametrize(
    "given",
    [
        b"",
        b"\n",
        b"not ours",
        b"[]\nPOST /plivo/status\n\n",
        b"[" * 100_000,
        b"\xff\n",
        json.dumps(HEAD).encode() + b"\nPOST /plivo/status\na header without its colon\n\n",
    ],
)
def test_no_record(given: bytes) -> None:
    """Whatever else stands in a file of the spool is a `ValueError` and nothing worse."""
    with pytest.raises(ValueError):  # noqa: PT011 - each says it in the words of whoever found it
        spooled.unpack(given)
