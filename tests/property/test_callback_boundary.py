"""
V3 signs names and values, sorted, with nothing between them.

So whoever holds one captured callback can make others with the same signature, by moving the
boundary between a name and its value. These tests move it in every way that keeps the signature.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plivostatusd.domain import callback, signature
from plivostatusd.domain.signature import Pair

NONCE = "05429567804466091622"
PROTECTED = (
    "message_uuid",
    "status",
    "recipient",
    "sequence",
    "at_us",
    "sent_us",
    "delivered_us",
    "error_code",
    "units",
    "amount",
    "mcc",
    "mnc",
)
UUIDS = ("83876bdb-2033-4876-bfaf-0ff8693705af", "11111111-2222-3333-4444-555555555555")

times = st.sampled_from(["", "2026-11-23 09:00:00.123456", "2026-11-23 09:00:02"])
callbacks = st.fixed_dictionaries(
    {
        "MessageUUID": st.just(UUIDS[0]),
        "From": st.sampled_from(["14155551212", "12345", "ACME"]),
        "To": st.just("14155552323"),
        "Status": st.sampled_from(
            ["queued", "sent", "delivered", "undelivered", "failed", "rejected", "read", "bounced"]
        ),
    },
    optional={
        "ParentMessageUUID": st.sampled_from(UUIDS),
        "PartInfo": st.just("1 of 1"),
        "Type": st.sampled_from(["sms", "whatsapp"]),
        "Units": st.sampled_from(["1", "12"]),
        "TotalRate": st.just("0.00350"),
        "TotalAmount": st.sampled_from(["0.00350", "0.0420"]),
        "MCC": st.just("310"),
        "MNC": st.sampled_from(["15", "150"]),
        "ErrorCode": st.sampled_from(["", "000", "30", "420"]),
        "Sequence": st.sampled_from(["1", "3", "12"]),
        "MessageTime": times,
        "QueuedTime": times,
        "SentTime": times,
        "DeliveryReportTime": times,
        "PowerpackUUID": st.sampled_from(["", UUIDS[1]]),
        "requester_ip": st.just("203.0.113.7"),
        "ConversationID": st.just("a1b2"),
        "ErrorMessage": st.just("Blocked by carrier"),
    },
)


def pairs_of(fields: dict[str, str]) -> list[Pair]:
    """Give the fields as they are signed."""
    return sorted((name.encode(), value.encode()) for name, value in fields.items())


def tail(pairs: Sequence[Pair], method: str = "POST") -> bytes:
    """Spell what V3 signs."""
    query = pairs if method == "GET" else []
    return signature.v3_tail(method, query, pairs, NONCE)


def won(genuine: Sequence[Pair], forged: Sequence[Pair]) -> dict[str, Any]:
    """Name the fields of which *forged* says something that *genuine* does not say."""
    truth = asdict(callback.parse(genuine))
    said = asdict(callback.parse(forged))
    # A status lost takes with it which of the times is the message's own.
    own_times = {truth[name] for name in ("at_us", "sent_us", "delivered_us")}
    own_times |= {
        callback.parse([(b"QueuedTime", v)]).at_us for n, v in genuine if n.endswith(b"Time")
    }
    return {
        name: said[name]
        for name in PROTECTED
        if said[name] not in {None, truth[name]}
        and not (name == "at_us" and said[name] in own_times)
    }


def one_field_moved(genuine: Sequence[Pair]) -> Iterator[list[Pair]]:
    """Cut each field that is read out of the signed text at every place, with every length."""
    text = b"".join(name + value for name, value in genuine)
    for field in NAMES:
        start = text.find(field)
        while start >= 0:
            value_at = start + len(field)
            for end in range(value_at, min(len(text), value_at + 45) + 1):
                before = [(b"", text[:start])] if start else []
                middle = (field, text[value_at:end])
                if end == len(text):
                    yield [*before, middle]
                for cut in range(end + 1, min(end + 4, len(text) + 1)):
                    yield [*before, middle, (text[end:cut], text[cut:])]
            start = text.find(field, start + 1)


NAMES = (
    b"MessageUUID",
    b"Status",
    b"To",
    b"Sequence",
    b"MessageTime",
    b"QueuedTime",
    b"SentTime",
    b"DeliveryReportTime",
    b"ErrorCode",
    b"Units",
    b"TotalAmount",
    b"MCC",
    b"MNC",
)


@settings(max_examples=25)
@given(callbacks)
def test_no_field_is_won(fields: dict[str, str]) -> None:
    """No field can be cut out of the signed text with another value than its own."""
    genuine = pairs_of(fields)
    string = tail(genuine)
    for forged in one_field_moved(genuine):
        if tail(forged) == string:
            assert won(genuine, forged) == {}


@st.composite
def moved(draw: st.DrawFn) -> tuple[list[Pair], list[Pair]]:
    """Draw a genuine callback, and another with the same V3 string."""
    genuine = pairs_of(draw(callbacks))
    string = tail(genuine)
    forged = genuine
    for _ in range(draw(st.integers(1, 4))):
        index = draw(st.integers(0, len(forged) - 1))
        tried = draw(st.sampled_from([swallow, shift, split]))(forged, index, draw)
        if tail(tried) == string:
            forged = tried
    return genuine, forged


def swallow(pairs: list[Pair], index: int, draw: st.DrawFn) -> list[Pair]:
    """Make the next pair, or all that follow, a part of this one's value."""
    name, value = pairs[index]
    until = draw(st.sampled_from([index + 2, len(pairs)]))
    more = b"".join(n + v for n, v in pairs[index + 1 : until])
    return [*pairs[:index], (name, value + more), *pairs[until:]]


def shift(pairs: list[Pair], index: int, draw: st.DrawFn) -> list[Pair]:
    """Move the boundary between a name and its value."""
    text = b"".join(pairs[index])
    cut = draw(st.integers(0, len(text)))
    return [*pairs[:index], (text[:cut], text[cut:]), *pairs[index + 1 :]]


def split(pairs: list[Pair], index: int, draw: st.DrawFn) -> list[Pair]:
    """Make two pairs of one, with a known name for the second where there is one."""
    name, value = pairs[index]
    cut = draw(st.integers(0, len(value)))
    known = [value.find(other, cut) for other in NAMES if other in value[cut:]]
    cut = draw(st.sampled_from([cut, *known]))
    rest = value[cut:]
    lengths = [len(other) for other in NAMES if rest.startswith(other)]
    end = draw(st.sampled_from([1, 2, 5, *lengths]))
    return [*pairs[:index], (name, value[:cut]), (rest[:end], rest[end:]), *pairs[index + 1 :]]


@settings(max_examples=400)
@given(moved())
def test_nothing_is_won_by_several_moves(both: tuple[list[Pair], list[Pair]]) -> None:
    """However the boundaries are moved, every field is lost or what it was."""
    genuine, forged = both
    assert tail(genuine) == tail(forged)
    assert won(genuine, forged) == {}


@settings(max_examples=200)
@given(callbacks, st.data())
def test_a_get_has_no_such_boundary(fields: dict[str, str], data: st.DataObject) -> None:
    """In a GET's string, which has `=` and `&`, whatever is swallowed wins nothing either."""
    genuine = pairs_of(fields)
    index = data.draw(st.integers(0, len(genuine) - 2))
    (name, value), (next_name, next_value) = genuine[index : index + 2]
    merged = (name, b"%b&%b=%b" % (value, next_name, next_value))
    forged = [*genuine[:index], merged, *genuine[index + 2 :]]
    assert tail(genuine, "GET") == tail(forged, "GET")
    assert won(genuine, forged) == {}


def test_the_ambiguity_is_real() -> None:
    """Two forms that say different things do have the same string, which is why shapes count."""
    genuine = [(b"Status", b"delivered"), (b"To", b"14155552323")]
    cut = [(b"Status", b"deliver"), (b"edTo", b"14155552323")]
    assert tail(genuine) == tail(cut)
    assert callback.parse(genuine).status == "delivered"
    assert callback.parse(cut).status is None


@pytest.mark.parametrize("status", ["queued", "sent", "delivered", "undelivered", "read"])
def test_no_known_word_begins_with_another(status: str) -> None:
    """No word of Plivo's can be cut down to another one."""
    shorter = [status[:end] for end in range(1, len(status))]
    assert not set(shorter) & callback._PLIVOS


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_quoting(value: bytes) -> None:
    """Any field survives its way through a form, so these tests speak of what arrives."""
    text = value.decode("utf-8", "replace")
    assert [(b"a", text.encode())] == signature.pairs_of(f"a={quote_plus(text)}".encode())
