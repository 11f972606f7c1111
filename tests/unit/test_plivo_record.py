from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivostatusd.domain.statuses import Fact
from plivostatusd.plivo.record import MessageRecord, parse

UUID = "b48d95dc-e3ac-11eb-a9c2-0242ac110005"
# The example of Plivo's page on retrieving a message, with the times that newer records have.
FIELDS: dict[str, object] = {
    "api_id": "85a704c8-e47a-11eb-9a69-0242ac110004",
    "carrier_fees": "0.00000",
    "error_code": "000",
    "from_number": "17087654321",
    "mcc": "312",
    "message_direction": "outbound",
    "message_sent_time": "2021-07-13 13:04:07.000000+05:30",
    "message_state": "delivered",
    "message_time": "2021-07-13 13:04:06.799021+05:30",
    "message_type": "sms",
    "message_updated_time": "2021-07-13 13:04:09.5+05:30",
    "message_uuid": UUID,
    "mnc": "650",
    "powerpack_id": None,
    "resource_uri": f"/v1/Account/MA/Message/{UUID}/",
    "to_number": "12401234567",
    "total_amount": "0.00140",
    "total_rate": "0.00140",
    "units": 1,
}
RAW = json.dumps(FIELDS).encode()
TAKEN_US = 1_626_161_646_799_021  # 2021-07-13T07:34:06.799021Z
RECORD = MessageRecord(
    message_uuid=UUID,
    state="delivered",
    direction="outbound",
    sender="+17087654321",
    recipient="+12401234567",
    message_time_us=TAKEN_US,
    sent_us=1_626_161_647_000_000,
    updated_us=1_626_161_649_500_000,
    error_code="000",
    units=1,
    amount="0.00140",
    mcc="312",
    mnc="650",
    raw=RAW,
)
NOTHING: dict[str, Any] = dict.fromkeys(
    [
        *("state", "direction", "sender", "recipient", "message_time_us", "sent_us"),
        *("updated_us", "error_code", "units", "amount", "mcc", "mnc"),
    ]
)


def read(**change: object) -> MessageRecord:
    """Read the example, changed."""
    record = parse(json.dumps({**FIELDS, **change}).encode())
    assert record is not None
    return record


def test_a_whole_record() -> None:
    """Every field of Plivo's own example is read, its offset times as instants, raw kept."""
    assert parse(RAW) == RECORD


def test_what_it_does_not_say() -> None:
    """A record that only names its message is a record."""
    raw = json.dumps({"message_uuid": UUID}).encode()
    assert parse(raw) == MessageRecord(message_uuid=UUID, raw=raw, **NOTHING)


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("message_state", "<b>", "state"),
        ("message_state", 7.5, "state"),
        ("message_state", "refused", "state"),
        ("message_state", "Unknown", "state"),
        ("message_direction", "sideways", "direction"),
        ("from_number", None, "sender"),
        ("from_number", "+1\n2", "sender"),
        ("to_number", "x" * 40, "recipient"),
        ("to_number", ["12401234567"], "recipient"),
        ("message_time", "yesterday", "message_time_us"),
        ("message_time", "2021-13-45 13:04:06", "message_time_us"),
        ("message_sent_time", "", "sent_us"),
        ("message_updated_time", None, "updated_us"),
        ("message_updated_time", 1_626_161_649, "updated_us"),
        ("error_code", "no such code", "error_code"),
        ("error_code", None, "error_code"),
        ("units", -1, "units"),
        ("units", True, "units"),
        ("units", "1 ", "units"),
        ("units", "٣", "units"),
        ("total_amount", "1e3", "amount"),
        ("total_amount", float("nan"), "amount"),
        ("mcc", "3100", "mcc"),
        ("mnc", "", "mnc"),
        ("mnc", "\ud800", "mnc"),
    ],
)
def test_what_does_not_look_right_is_none(name: str, value: object, field: str) -> None:
    """A field of the wrong shape is None, and takes no other field down with it."""
    record = read(**{name: value})
    lost: dict[str, Any] = {field: None, "raw": record.raw}
    assert replace(RECORD, **lost) == record


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        ("message_state", "Delivered", "state", "delivered"),
        ("message_state", "brand_new", "state", "brand_new"),
        ("message_direction", "inbound", "direction", "inbound"),
        ("from_number", "ACME Ltd", "sender", "ACME Ltd"),
        ("from_number", 17087654321, "sender", "+17087654321"),
        ("error_code", 30, "error_code", "30"),
        ("error_code", "", "error_code", ""),
        ("units", "12", "units", 12),
        ("mcc", 310, "mcc", "310"),
        ("message_time", "2021-07-13 07:34:06.799021", "message_time_us", TAKEN_US),
    ],
)
def test_other_spellings(name: str, value: object, field: str, expected: object) -> None:
    """Numbers written as JSON numbers, times without a zone and new words are understood."""
    assert expected == getattr(read(**{name: value}), field)


def test_amounts_stand_as_written() -> None:
    """An amount that comes as a JSON number keeps its noughts."""
    record = parse(b'{"message_uuid": "%s", "total_amount": 0.00140}' % UUID.encode())
    assert record is not None
    assert record.amount == "0.00140"


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"<html>", b"null", b"[]", b"{}", b"\xff\xfe", b"7", b"NaN"),
        b"[" * 100_000,
        b'{"message_uuid": ' + b"7" * 10_000 + b"}",
        b'{"message_uuid": null}',
        b'{"message_uuid": "uuid-1"}',
        b'{"message_uuid": ["%s"]}' % UUID.encode(),
        b'{"message_uuid": "%s\\n"}' % UUID.encode(),
        b'[{"message_uuid": "%s"}]' % UUID.encode(),
    ],
)
def test_no_record(raw: bytes) -> None:
    """What is no JSON object, or names no message by a UUID, is no record."""
    assert parse(raw) is None


@given(st.binary() | st.dictionaries(st.sampled_from([*FIELDS]), st.text() | st.integers()))
def test_parsing_never_raises(content: bytes | dict[str, object]) -> None:
    """Whatever arrives, parsing gives a record or None."""
    raw = content if isinstance(content, bytes) else json.dumps(FIELDS | content).encode()
    assert isinstance(parse(raw), MessageRecord | None)


def test_the_fact() -> None:
    """The merge rule sees the record with the API's trust, at the time of its last update."""
    expected = Fact(
        status="delivered",
        source="api",
        trust="api",
        at_us=RECORD.updated_us,
        error_code="000",
        units=1,
        amount="0.00140",
        mcc="312",
        mnc="650",
    )
    assert expected == RECORD.fact()
    assert expected._replace(source="inferred") == RECORD.fact("inferred")


def test_the_fact_of_an_older_record() -> None:
    """A record without the time of its update goes by the message's own."""
    assert read(message_updated_time=None).fact().at_us == TAKEN_US


def test_repr_shows_no_number() -> None:
    """A record in a log line or a traceback shows neither number, nor the raw object."""
    assert UUID in repr(RECORD)
    for private in ("7087654321", "2401234567", "resource_uri"):
        assert private not in repr(RECORD)
