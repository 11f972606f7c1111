from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from plivostatusd.domain import callback, signature, times
from plivostatusd.domain.callback import Report
from plivostatusd.domain.errors import CallbackUnreadable
from plivostatusd.domain.signature import Pair, Signed
from plivostatusd.domain.statuses import Fact

GOLDEN = sorted((Path(__file__).parents[1] / "data" / "callbacks").glob("*.json"))
UUID = "83876bdb-2033-4876-bfaf-0ff8693705af"
PARENT = "11111111-2222-3333-4444-555555555555"


def spelt(report: Report) -> dict[str, Any]:
    """Spell a report as the golden files do, with times that a person can read."""
    fields = asdict(report)
    for name in ("at", "sent", "delivered"):
        instant_us = fields.pop(f"{name}_us")
        fields[name] = None if instant_us is None else times.rfc3339(instant_us)
    return fields


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden(path: Path) -> None:
    """What is read from a callback is what stands beside it; null means that it cannot be read."""
    golden = json.loads(path.read_text())
    given = golden["request"]
    request = Signed(**{**given, "body": given["body"].encode()})
    if golden["report"] is None:
        with pytest.raises(CallbackUnreadable):
            signature.parameters(request)
    else:
        pairs, _ = signature.parameters(request)
        assert golden["report"] == spelt(callback.parse(pairs))


def of(**fields: str) -> Report:
    """Read a callback with these fields."""
    return callback.parse([(name.encode(), value.encode()) for name, value in fields.items()])


def test_a_report_is_a_fact() -> None:
    """The merge rule sees everything of a report but whom it names and the lesser times."""
    report = Report(
        message_uuid=UUID,
        status="failed",
        sender="+14155551212",
        recipient="+14155552323",
        sequence=3,
        at_us=7,
        sent_us=5,
        delivered_us=7,
        error_code="420",
        units=2,
        amount="0.007",
        mcc="310",
        mnc="150",
    )
    assert report.fact("callback", "full") == Fact(
        status="failed",
        source="callback",
        trust="full",
        sequence=3,
        at_us=7,
        error_code="420",
        units=2,
        amount="0.007",
        mcc="310",
        mnc="150",
    )


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ("delivered", "delivered"),
        (" Delivered ", "delivered"),
        ("READ", "read"),
        ("", None),
        ("pending", None),
        ("unknown", None),
        ("refused", None),
    ],
)
def test_known_words(given: str, status: str | None) -> None:
    """Plivo's words count by themselves, in any case; ours never do."""
    assert status == of(Status=given).status
    assert status == of(Status=given, To="14155552323").status


@pytest.mark.parametrize("word", ["bounced", "deliver", "sent_to_carrier", "x" * 32])
def test_new_words(word: str) -> None:
    """A word that we do not know counts where the recipient is named, and only there."""
    assert word == of(Status=word, To="14155552323").status
    assert of(Status=word).status is None
    assert of(Status=word, To="call me").status is None


@pytest.mark.parametrize("word", ["x" * 33, "de-livered", "2sent", "_sent", "gesendét", "sent now"])
def test_no_words(word: str) -> None:
    """What is no word is no status."""
    assert of(Status=word, To="14155552323").status is None


@pytest.mark.parametrize(
    ("status", "names", "instant"),
    [
        ("delivered", "DeliveryReportTime SentTime QueuedTime MessageTime", 3),
        ("read", "DeliveryReportTime QueuedTime", 3),
        ("failed", "SentTime QueuedTime MessageTime", 1),
        ("sent", "DeliveryReportTime SentTime QueuedTime", 2),
        ("sent", "DeliveryReportTime QueuedTime MessageTime", 1),
        ("queued", "DeliveryReportTime SentTime QueuedTime MessageTime", 1),
        ("queued", "SentTime MessageTime", 0),
        ("bounced", "DeliveryReportTime SentTime QueuedTime", 1),
        ("", "SentTime MessageTime", 0),
        ("sent", "", None),
    ],
)
def test_own_time(status: str, names: str, instant: int | None) -> None:
    """Plivo's own time is the report's for an outcome, SentTime for `sent`, else the queue's."""
    clock = ("MessageTime", "QueuedTime", "SentTime", "DeliveryReportTime")
    fields = {name: f"1970-01-01 00:00:00.00000{clock.index(name)}" for name in names.split()}
    assert instant == of(Status=status, To="14155552323", **fields).at_us


def test_a_uuid_without_a_parent() -> None:
    """A callback need not name a parent, as long as nobody else bears the name."""
    assert of(MessageUUID=UUID).message_uuid == UUID
    assert of(MessageUUID=UUID, ParentMessageUUID=PARENT).message_uuid == UUID
    assert of(MessageUUID=UUID, Text=f"MessageUUID{PARENT}").message_uuid is None


def test_the_parent_is_not_passed_off_as_the_message() -> None:
    """A boundary moved so that the parent's UUID stands under the message's name wins nothing."""
    genuine = [
        (b"MessageTime", b"2026-11-23 09:00:00"),
        (b"MessageUUID", UUID.encode()),
        (b"ParentMessageUUID", PARENT.encode()),
    ]
    moved = [
        (b"MessageTime", b"2026-11-23 09:00:00MessageUUID" + UUID.encode() + b"Parent"),
        (b"MessageUUID", PARENT.encode()),
    ]
    assert tail(genuine) == tail(moved)
    assert callback.parse(genuine).message_uuid == UUID
    assert callback.parse(moved).message_uuid is None


def tail(pairs: list[Pair]) -> bytes:
    """Spell what V3 signs of a form."""
    return signature.v3_tail("POST", [], pairs, "05429567804466091622")


@pytest.mark.parametrize("code", ["", "0", "30", "000", "123456789"])
def test_error_codes(code: str) -> None:
    """Plivo's error codes are digits, and may be empty."""
    assert code == of(ErrorCode=code).error_code


def test_a_name_beside_an_error_code_is_not_drawn_into_it() -> None:
    """An error code cannot grow into the field behind it."""
    assert of(ErrorCode="420FromACME").error_code is None
