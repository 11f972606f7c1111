"""Whatever a client sends is a request that can be recorded, or a list of what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

from hypothesis import given, settings
from hypothesis import strategies as st

from plivostatusd.domain import message, phone
from plivostatusd.domain.errors import BadSend
from plivostatusd.domain.message import FIELDS, Request

plausible = st.sampled_from(
    [
        "+14155552323",
        " 14155552324",
        "ACME",
        "12345",
        "hello",
        "sms",
        "whatsapp",
        "600",
        600,
        "https://example.com/a.jpg",
        "ab-12",
        "transactional",
        ["+14155552323", "+14155552324"],
        ["https://example.com/a.jpg"],
    ]
)
texts = st.text(max_size=20) | st.text(st.characters(categories=["Cs", "Cc", "Zs"]), max_size=3)
values: st.SearchStrategy[Any] = plausible | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
good = st.fixed_dictionaries(
    {"to": st.just("+14155552323") | values, "text": st.just("hello") | texts},
    optional={name: plausible | values for name in FIELDS if name not in {"to", "text"}},
)
anything = st.dictionaries(st.sampled_from(FIELDS) | texts, values, max_size=6)
senders = st.sampled_from([None, "+14155551212", "+14155552323", "ACME"])


def problems_of(bad: BadSend) -> list[str]:
    """Name what is wrong, after a look at whether it can be told to anybody."""
    names = [name for name, _ in bad.problems]
    assert names
    assert len(names) == len(set(names))
    json.dumps(bad.problems, ensure_ascii=False).encode()
    str(bad).encode()
    return names


def check(fields: Any, sender: str | None) -> None:
    """Parse *fields*, and look at what comes of it."""
    try:
        request = message.parse(fields, default_sender=sender)
    except BadSend as bad:
        problems_of(bad)
    else:
        check_request(request)


def check_body(read: Callable[[bytes], message.Fields], body: bytes, sender: str | None) -> None:
    """Read *body*, and look at what comes of it."""
    try:
        fields = read(body)
    except BadSend as bad:
        wrong = problems_of(bad)
        assert wrong == ["body"]
    else:
        check(fields, sender)


def check_request(request: Request) -> None:
    """Say that a request can be recorded and sent."""
    assert len(request.drafts) in range(1, 1001)
    assert request.is_list or len(request.drafts) == 1
    for draft in request.drafts:
        assert draft.to == phone.normalise(draft.to)
        assert draft.sender != draft.to
        assert (draft.sender is None) == ("powerpack_uuid" in draft.options)
        assert draft.text
        json.dumps(draft.options, ensure_ascii=False, allow_nan=False).encode()
        f"{draft.text}{draft.tag}".encode()


@settings(max_examples=400)
@given(good | anything, senders)
def test_any_fields(fields: dict[str, Any], sender: str | None) -> None:
    """Any JSON value for any field is a request or a list of problems, one a field."""
    check(fields, sender)


@settings(max_examples=300)
@given(good | anything | values, senders)
def test_any_json(content: Any, sender: str | None) -> None:
    """Any JSON body is a request or a list of problems."""
    check_body(message.fields_of_json, json.dumps(content).encode(), sender)


@settings(max_examples=300)
@given(
    st.binary(max_size=60)
    | st.text(max_size=40).map(lambda text: ("{" + text).encode("utf-8", "replace"))
)
def test_any_bytes(body: bytes) -> None:
    """Any bytes at all are fields, or not readable."""
    for read in (message.fields_of_json, message.fields_of_form):
        check_body(read, body, "ACME")


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(FIELDS) | st.text(max_size=5), st.text(max_size=20))))
def test_any_form(pairs: list[tuple[str, str]]) -> None:
    """Any form is a request or a list of problems."""
    body = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs)
    check(message.fields_of_form(body.encode()), "ACME")


@settings(max_examples=200)
@given(good, senders)
def test_the_same_fields_in_any_order(fields: dict[str, Any], sender: str | None) -> None:
    """A repeat is known again, whatever the order of its fields."""
    try:
        first = message.parse(fields, default_sender=sender)
    except BadSend:
        return
    again = message.parse(dict(reversed(fields.items())), default_sender=sender)
    assert first == again
