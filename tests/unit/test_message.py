from __future__ import annotations

import json
from typing import Any

import pytest

from plivostatusd.domain import message
from plivostatusd.domain.errors import BadSend
from plivostatusd.domain.message import Draft, Request

FROM = "+14155551212"
TO = "+14155552323"
GOOD: dict[str, Any] = {"to": TO, "text": "hello"}


def parsed(fields: dict[str, Any], sender: str | None = FROM) -> Request:
    """Parse fields with a default sender."""
    return message.parse(fields, default_sender=sender)


def draft(**fields: Any) -> Draft:
    """Parse a good send with these fields besides, and give its one draft."""
    (only,) = parsed({**GOOD, **fields}).drafts
    return only


def problems(fields: dict[str, Any], sender: str | None = FROM) -> dict[str, str]:
    """Say what is wrong with a send; each field is named once."""
    with pytest.raises(BadSend) as bad:
        parsed(fields, sender)
    named = dict(bad.value.problems)
    assert len(named) == len(bad.value.problems)
    return named


def wrong(name: str, value: object) -> str:
    """Say what is wrong with one field of an otherwise good send."""
    named = problems({**GOOD, name: value})
    assert [name] == list(named)
    return named[name]


# Bodies as clients send them


@pytest.mark.parametrize(
    "body",
    [
        b"to=+14155552323&text=hello",  # curl -d to=+14155552323 -d text=hello
        b"to=%2B14155552323&text=hello",  # curl --data-urlencode
        b"to=14155552323&text=hello",
        b"to=+1+(415)+555-2323&text=hello",
        b"to=+14155552323%0A&text=hello",  # --data-urlencode to@file
        b"text=hello&to=+14155552323",
    ],
)
def test_forms(body: bytes) -> None:
    """What curl sends as a form works as its user meant it: a blank before a number is a plus."""
    (only,) = parsed(dict(message.fields_of_form(body))).drafts
    assert (only.to, only.text) == (TO, "hello")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"to=+14155552323&text=a+b%2Bc", "a b+c"),
        (b"to=+14155552323&text=+1+up", " 1 up"),
        (b"to=+14155552323&text=h%C3%A9llo", "héllo"),
        ("to=+14155552323&text=héllo ✓".encode(), "héllo ✓"),
        (b"to=+14155552323&text=a=b;c", "a=b;c"),
        (b"to=+14155552323&text=50%25+%26+more", "50% & more"),
    ],
)
def test_texts_in_forms(body: bytes, text: str) -> None:
    """A text in a form is decoded, and its blanks stay blanks."""
    assert text == message.fields_of_form(body)["text"]


def test_senders_in_forms() -> None:
    """The plus of a sender is put back as well; a name keeps what it is."""
    assert message.fields_of_form(b"from=+14155551212")["from"] == "+14155551212"
    assert message.fields_of_form(b"from=+ACME")["from"] == " ACME"
    assert message.fields_of_form(b"from=ACME")["from"] == "ACME"


def test_lists_in_forms() -> None:
    """A recipient or a media URL given more than once is a list."""
    fields = message.fields_of_form(b"to=+14155552323&to=+14155552324&to=+14155552325")
    assert fields["to"] == ["+14155552323", "+14155552324", "+14155552325"]
    assert message.fields_of_form(b"media_urls=a&media_urls=b")["media_urls"] == ["a", "b"]


@pytest.mark.parametrize("body", [b"hello", b"to", b"to=1&text", b"\xff=1", b"to=%FF", b"&"])
def test_no_form(body: bytes) -> None:
    """What is neither a form nor JSON says so."""
    with pytest.raises(BadSend) as bad:
        message.fields_of_form(body)
    assert bad.value.problems == (("body", "neither a JSON object nor a form"),)


def test_an_empty_form() -> None:
    """An empty body has no fields, so all that is required is missing."""
    fields = dict(message.fields_of_form(b""))
    assert problems(fields) == {"to": "is required", "text": "is required"}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not readable as JSON"),
        (b"{", "not readable as JSON"),
        (b'{"to": "\xff"}', "not readable as JSON"),
        (b"[" * 100_000, "not readable as JSON"),
        (b'{"to": ' + b"9" * 5000 + b"}", "not readable as JSON"),
        (b"[]", "expected a JSON object"),
        (b'"hello"', "expected a JSON object"),
        (b"null", "expected a JSON object"),
    ],
)
def test_no_json_object(body: bytes, why: str) -> None:
    """What is no JSON object says so."""
    with pytest.raises(BadSend) as bad:
        message.fields_of_json(body)
    assert bad.value.problems == (("body", why),)


def test_json() -> None:
    """A JSON object's members are the fields."""
    fields = dict(message.fields_of_json(b' {"to": "+14155552323", "text": "h\\u00e9llo"}'))
    (only,) = parsed(fields).drafts
    assert (only.to, only.text) == (TO, "héllo")


@pytest.mark.parametrize(
    "fields",
    [
        message.fields_of_form(b"text=a&text=b&tag=x&tag=x&colour=red&colour=red&to=call+me"),
        message.fields_of_json(
            b'{"text": "a", "text": "b", "tag": "x", "tag": "x", "colour": 1, "colour": 2,'
            b' "to": "call me"}'
        ),
    ],
    ids=["form", "json"],
)
def test_given_twice(fields: dict[str, Any]) -> None:
    """A field given twice is named, along with everything else that is wrong."""
    assert problems(fields) == {
        "text": "given twice",
        "tag": "given twice",
        "colour": "is not a field of a send",
        "to": "expected an international number such as +14155552323",
    }


def test_given_twice_within() -> None:
    """A repeated name within a value is no repeated field."""
    fields = message.fields_of_json(b'{"to": {"a": 1, "a": 2}, "text": "hello"}')
    assert problems(dict(fields)) == {"to": "expected a string"}


def test_many_names_are_no_burden() -> None:
    """Looking for repeated names takes no time that grows with their square."""
    names = ", ".join(f'"{number}": 0' for number in range(20_000))
    assert (
        len(problems(dict(message.fields_of_json(f"{{{names}}}".encode()))))
        == message.UNKNOWN_NAMES_TOLD_MAX + 2
    )


# What a send comes to


def test_the_least_send() -> None:
    """Recipient and text are enough; the sender is the configured one."""
    request = parsed(GOOD)
    assert request.drafts == (Draft(to=TO, sender=FROM, text="hello", tag=None, options={}),)
    assert request.is_list is False


def test_the_most_send() -> None:
    """Every field is kept, normalised, and what is Plivo's goes to Plivo."""
    options: dict[str, Any] = {
        "type": "mms",
        "media_urls": ["https://example.com/a.jpg", "http://example.com/b.jpg"],
        "message_expiry": 600,
        "dlt_entity_id": "1001",
        "dlt_template_id": "2002",
        "dlt_template_category": "service_implicit",
    }
    only = draft(**options, to="1 (415) 555-2323", **{"from": "1-415-555-1212"}, tag="rack 7")
    assert only == Draft(to=TO, sender=FROM, text="hello", tag="rack 7", options=options)


def test_nulls() -> None:
    """A field that is null is a field left out."""
    nulls = dict.fromkeys(message.FIELDS)
    assert parsed({**nulls, **GOOD}).drafts == parsed(GOOD).drafts


def test_lists() -> None:
    """A list makes one draft a recipient, in its order, and is answered as a list."""
    numbers = [TO, "14155552324", "+1 415 555 2325"]
    request = parsed({"to": numbers, "text": "hello"})
    assert [each.to for each in request.drafts] == [TO, "+14155552324", "+14155552325"]
    assert request.is_list
    assert parsed({"to": [TO], "text": "hello"}).is_list


def test_lists_have_limits() -> None:
    """A list holds 1 to 1,000 numbers."""
    many = [f"+1415{number:07}" for number in range(1001)]
    assert len(parsed({"to": many[:1000], "text": "x"}).drafts) == 1000
    assert wrong("to", many) == "expected 1 to 1000 numbers"
    assert wrong("to", []) == "expected 1 to 1000 numbers"


def test_every_bad_entry_is_named() -> None:
    """Each bad entry of a list is named by its place, the sender's own number included."""
    number = "expected an international number such as +14155552323"
    assert problems({"to": [TO, "call me", 7, None, [TO], FROM], "text": "x"}) == {
        "to[1]": number,
        "to[2]": "expected a string",
        "to[3]": "expected a string",
        "to[4]": "expected a string",
        "to[5]": "is the sender itself",
    }


def test_all_problems_at_once() -> None:
    """Everything that is wrong is said at once."""
    fields = {
        "to": "7",
        "text": 7,
        "from": "!",
        "type": "fax",
        "media_urls": [],
        "powerpack_uuid": "",
        "message_expiry": 1,
        "dlt_entity_id": "",
        "dlt_template_id": [],
        "dlt_template_category": "spam",
        "tag": "\n",
        "colour": "red",
    }
    assert set(fields) == set(problems(fields))


@pytest.mark.parametrize("name", ["to", "text"])
@pytest.mark.parametrize("value", [None, ""])
def test_required(name: str, value: str | None) -> None:
    """A send needs a recipient and a text."""
    assert wrong(name, value) == "is required"
    assert problems({key: text for key, text in GOOD.items() if key != name}) == {
        name: "is required"
    }


@pytest.mark.parametrize("value", [7, 7.5, True, {}, {"a": "b"}, 0, False])
@pytest.mark.parametrize("name", ["to", "text", "from", "tag", "dlt_entity_id"])
def test_strings(name: str, value: object) -> None:
    """Where a string is expected nothing else is taken for one."""
    assert wrong(name, value) == "expected a string"


@pytest.mark.parametrize("name", ["to", "text", "from", "tag", "dlt_entity_id"])
def test_half_a_surrogate_pair(name: str) -> None:
    """A string that cannot be written down is refused."""
    assert wrong(name, "\ud83d") == "holds half a surrogate pair"


def test_no_nul() -> None:
    """A text with a NUL in it is refused; other control characters are the sender's business."""
    assert wrong("text", "a\x00b") == "holds a NUL character"
    assert draft(text="a\tb\r\n").text == "a\tb\r\n"


@pytest.mark.parametrize("value", ["call me", "0049123456", "+1", "+14155552323<+14155552324"])
def test_recipients(value: str) -> None:
    """A recipient is an international number."""
    assert wrong("to", value) == "expected an international number such as +14155552323"


def test_a_message_to_its_own_sender() -> None:
    """Nobody writes to himself, however the number is spelt."""
    assert wrong("to", "1 415 555 1212") == "is the sender itself"


# Who sends


@pytest.mark.parametrize(
    ("given", "sender"),
    [("14155551213", "+14155551213"), ("12345", "12345"), (" ACME", "ACME"), (None, FROM)],
)
def test_senders(given: str | None, sender: str) -> None:
    """The sender is the one given, else the configured one."""
    assert sender == draft(**{"from": given}).sender


@pytest.mark.parametrize("value", ["", " ", "ABCDEFGHIJKL", "A&B", "12"])
def test_bad_senders(value: str) -> None:
    """A sender is a number, a short code or a short name; an empty one is not the default."""
    why = "expected a number, a short code, or at most 11 letters and digits"
    assert why == wrong("from", value)


def test_no_sender() -> None:
    """Without any sender there is no message."""
    assert problems(GOOD, None) == {"from": "is required, as send.from is not set"}


def test_a_powerpack_chooses() -> None:
    """A Powerpack chooses the number, so that there is no sender beside it, and no default."""
    for default in (FROM, None):
        (only,) = parsed({**GOOD, "powerpack_uuid": "ab-12"}, default).drafts
        assert (only.sender, only.options) == (None, {"powerpack_uuid": "ab-12"})
    both = {**GOOD, "powerpack_uuid": "ab-12", "from": FROM}
    assert problems(both) == {"from": "a Powerpack chooses the number: give one of the two"}
    assert problems({**GOOD, "powerpack_uuid": "!"}, None) == {
        "powerpack_uuid": "expected a Powerpack's UUID"
    }


# Limits


@pytest.mark.parametrize(
    ("letter", "kind", "most", "why"),
    [
        ("a", "sms", 1600, "longer than 1600 GSM characters"),
        ("€", "sms", 800, "longer than 1600 GSM characters"),
        ("ж", "sms", 737, "longer than 737 Unicode characters"),
        ("😀", "mms", 368, "longer than 737 Unicode characters"),
        ("a", "mms", 1600, "longer than 1600 GSM characters"),
        ("😀", "whatsapp", 4096, "longer than 4096 characters"),
        ("a", "whatsapp", 4096, "longer than 4096 characters"),
    ],
)
def test_lengths(letter: str, kind: str, most: int, why: str) -> None:
    """A text may be as long as Plivo takes it, in the alphabet that it needs."""
    assert draft(text=letter * most, type=kind).text == letter * most
    assert problems({**GOOD, "text": letter * (most + 1), "type": kind}) == {"text": why}


def test_a_bad_type_hides_nothing() -> None:
    """A text is measured as an SMS where the type makes no sense."""
    named = problems({**GOOD, "text": "a" * 1601, "type": "fax"})
    assert named == {
        "type": "expected one of sms, mms, whatsapp",
        "text": "longer than 1600 GSM characters",
    }


@pytest.mark.parametrize("value", ["SMS", "", 1, ["sms"], {}, True])
def test_types(value: object) -> None:
    """The type is one of Plivo's three."""
    assert wrong("type", value) == "expected one of sms, mms, whatsapp"


@pytest.mark.parametrize("value", [5, 10_799, "5", "10799", "600"])
def test_expiries(value: int | str) -> None:
    """An expiry is whole seconds, which a form can only spell."""
    assert draft(message_expiry=value).options == {"message_expiry": int(value)}


@pytest.mark.parametrize("value", [4, 10_800, -5, 5.0, True, "", "4", "5.0", "٦٠٠", "1" * 5000, []])
def test_bad_expiries(value: object) -> None:
    """An expiry outside of Plivo's limits is refused."""
    assert wrong("message_expiry", value) == "expected whole seconds from 5 to 10799"


@pytest.mark.parametrize("count", [1, 10])
def test_media(count: int) -> None:
    """One to ten URLs may be sent along."""
    urls = [f"https://example.com/{number}.jpg?a=b#c" for number in range(count)]
    assert draft(media_urls=urls).options == {"media_urls": urls}
    assert draft(media_urls=urls[0]).options == {"media_urls": urls[:1]}


@pytest.mark.parametrize("value", [[], ["https://example.com/"] * 11, 7, {}, True])
def test_bad_lists_of_media(value: object) -> None:
    """Media are a URL, or a list of up to ten."""
    assert wrong("media_urls", value) == "expected 1 to 10 URLs"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "example.com/a.jpg",
        "ftp://example.com/a.jpg",
        "https:///a.jpg",
        "https://example.com/a b.jpg",
        "https://example.com/a.jpg\n",
        "https://example.com/\x00",
        "https://[::1/a.jpg",
    ],
)
def test_bad_media(value: str) -> None:
    """Each of the media is at an http or https URL."""
    assert wrong("media_urls", value) == "expected http or https URLs"
    assert wrong("media_urls", [value]) == "expected http or https URLs"


def test_media_are_strings() -> None:
    """What is no string is no URL."""
    assert wrong("media_urls", [7]) == "expected a string"


@pytest.mark.parametrize("value", ["", "a b", "x" * 65, "é", 7, []])
def test_bad_powerpacks(value: object) -> None:
    """A Powerpack is named by its UUID."""
    assert wrong("powerpack_uuid", value) == "expected a Powerpack's UUID"


@pytest.mark.parametrize("name", ["dlt_entity_id", "dlt_template_id"])
def test_dlt_ids(name: str) -> None:
    """The ids of India's registry are short and printable."""
    assert draft(**{name: "x" * 64}).options == {name: "x" * 64}
    for value in ("", "x" * 65, "a\nb"):
        assert wrong(name, value) == "expected 1 to 64 printable characters"


def test_dlt_categories() -> None:
    """The category is one of four."""
    for value in ("transactional", "promotional", "service_implicit", "service_explicit"):
        assert draft(dlt_template_category=value).options == {"dlt_template_category": value}
    assert wrong("dlt_template_category", "spam").startswith("expected one of transactional, ")


def test_tags() -> None:
    """A tag is free text, kept with the message and not sent."""
    assert draft(tag="é" * 256).tag == "é" * 256
    assert draft(tag="").tag == ""
    assert draft(tag="x").options == {}
    for value in ("x" * 257, "a\tb", "\x7f"):
        assert wrong("tag", value) == "expected at most 256 printable characters"


def test_unknown_fields() -> None:
    """A field that a send does not have is named, fit to print and not at length."""
    fields = {**GOOD, "colour": None, "a\nb\ud800": 1, "x" * 100: 1}
    unknown = "is not a field of a send"
    assert problems(fields) == {"colour": unknown, "a?b?": unknown, "x" * 64: unknown}


# Repeats


def fingerprint(fields: dict[str, Any]) -> bytes:
    """Give what a repeat must equal."""
    return parsed(fields).fingerprint


def test_the_same_send_again() -> None:
    """The same send is known again, from JSON or a form and however its numbers are spelt."""
    first = fingerprint(GOOD)
    assert len(first) == 16
    assert first == fingerprint({"text": "hello", "to": "1 415 555 2323"})
    form = dict(message.fields_of_form(b"text=hello&to=+14155552323"))
    assert first == fingerprint(form)
    assert first == fingerprint(dict(message.fields_of_json(json.dumps(GOOD).encode())))


@pytest.mark.parametrize(
    "fields",
    [
        {**GOOD, "text": "hello!"},
        {**GOOD, "to": "+14155552324"},
        {**GOOD, "to": [TO]},
        {**GOOD, "to": [TO, "+14155552324"]},
        {**GOOD, "tag": "x"},
        {**GOOD, "from": FROM},
        {**GOOD, "message_expiry": 600},
    ],
)
def test_another_send(fields: dict[str, Any]) -> None:
    """Any field that differs makes another send."""
    assert fingerprint(fields) != fingerprint(GOOD)


def test_drafts_keep_their_secrets() -> None:
    """Neither number nor text stands in what is printed of a draft or a request."""
    request = parsed({**GOOD, "media_urls": "https://example.com/secret", "tag": "rack 7"})
    for shown in (repr(request), str(request.drafts[0])):
        assert "rack 7" in shown
        for secret in ("5552323", "5551212", "hello", "secret"):
            assert secret not in shown


def test_problems_keep_what_was_given_to_themselves() -> None:
    """What is wrong is said without the value that is."""
    with pytest.raises(BadSend) as bad:
        parsed({"to": "4155552323x", "from": "+0415555", "text": "\x00my text", "tag": "my\ntag"})
    for secret in ("415555", "my"):
        assert secret not in str(bad.value).replace("+14155552323", "")
