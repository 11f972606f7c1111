"""A message's story as a timeline."""

from __future__ import annotations

from typing import Any

import pytest

from plivostatusd.ctl import timeline

UUID = "3e82ae9d-2c78-4d85-b1a4-000000000001"


def event(received: str, status: str | None, source: str, **fields: Any) -> dict[str, Any]:
    """Make an event as the API gives it."""
    trust = {"callback": "full", "api": "api"}.get(source, "local")
    plain = {"status": status, "source": source, "trust": trust, "at": None, "error_code": None}
    return {"received_at": f"2026-11-23T{received}Z", **plain, **fields}


STORY: dict[str, Any] = {
    "id": "0192f0c8-0000-7000-8000-000000000001",
    "message_uuid": UUID,
    "created_at": "2026-11-23T09:00:02Z",
    "called_at": "2026-11-23T09:00:02.100Z",
    "attempts": 1,
    "sent_by": "cron",
    "final": True,
    "final_by": "status",
    "amount": "0.0035",
    "units": 1,
    "delivery_seconds": 3.25,
    "events": [
        event("09:00:02", "pending", "send"),
        event("09:00:02.300", "queued", "send", trust="api"),
        event(
            "09:00:03.500",
            "sent",
            "callback",
            at="2026-11-23T09:00:03Z",
            verified_by="auth_token 1",
        ),
        event(
            "09:02:02",
            "undelivered",
            "callback",
            trust="url-only",
            at="2026-11-23T09:00:06.250Z",
            error_code="30",
            error="spam detected",
        ),
        event("09:02:03", "delivered", "operator", by="unix:root"),
        event("10:30:02", "failed", "callback", aside="disputed"),
    ],
}


def test_the_whole_story() -> None:
    """Each happening has its time, how long after the first, and how late Plivo's word came."""
    told = timeline.rows(STORY)
    assert [
        ["0.000s", "pending", "send", "-", "recorded; by cron"],
        ["0.100s", "-", "-", "-", "Plivo was called"],
        ["0.300s", "queued", "send", "-", "Plivo took it"],
        ["1.500s", "sent", "callback", "0.500s", "Plivo called back; signed with auth_token 1"],
        [
            "2.0m",
            "undelivered",
            "callback",
            "1.9m",
            "Plivo called back; error 30: spam detected",
        ],
        ["2.0m", "delivered", "operator", "-", "settled by hand; by unix:root"],
        [
            "1.5h",
            "failed",
            "callback",
            "-",
            "Plivo called back; disputed: kept, and does not count",
        ],
    ] == [[row[1], row[2], row[3], row[6], row[7]] for row in told]
    assert ["2026-11-23 09:00:03.500Z", "full", "2026-11-23 09:00:03.000Z"] == [
        told[3][0],
        told[3][4],
        told[3][5],
    ]


def test_what_it_came_to() -> None:
    """Price and time of delivery stand below."""
    assert [
        ("price", "0.0035 for 1 unit"),
        ("delivery", "3.250s from sent to delivered, says Plivo"),
    ] == timeline.summary(STORY)


def test_a_call_without_an_answer_comes_last() -> None:
    """A call that is on its way stands behind all that was heard, with its number."""
    message = {**STORY, "attempts": 3, "events": STORY["events"][:1]}
    assert "Plivo was called, attempt 3" == timeline.rows(message)[-1][7]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"final": False}, ("open", "more may come")),
        ({"final_by": "silence"}, ("final", "by silence: nothing more was heard")),
    ],
)
def test_how_it_stands(fields: dict[str, Any], expected: tuple[str, str]) -> None:
    """A message that is open, or final by silence alone, says so."""
    assert expected == timeline.summary({**STORY, **fields})[-1]


def test_two_units() -> None:
    """More than one unit is a plural, and no unit is not spoken of."""
    for units, expected in ((2, "0.0035 for 2 units"), (None, "0.0035")):
        assert ("price", expected) == timeline.summary({**STORY, "units": units})[0]


@pytest.mark.parametrize("created", [None, "soon", "2026-11-23", 7])
def test_an_instant_that_is_none(created: object) -> None:
    """What is no instant is shown as it is, and nothing is counted from it."""
    row = timeline.rows({**STORY, "created_at": created, "called_at": created})[0]
    assert "-" == row[1]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.0, "0.000s"), (-1.5, "-1.500s"), (90.0, "1.5m"), (5_400.0, "1.5h"), (129_600.0, "1.5d")],
)
def test_span(seconds: float, expected: str) -> None:
    """A span is spelt as precisely as its length deserves."""
    assert expected == timeline.span(seconds)


def test_control_characters() -> None:
    """Nothing that moves a cursor reaches a terminal."""
    message = {"events": [event("09:00:02", "sent\x1b", "callback", reason="\x1b[2J")]}
    assert "\x1b" not in "".join(timeline.rows(message)[0])
