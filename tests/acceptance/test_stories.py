"""The main job, whole: a daemon, Plivo as the simulator plays it, and all thirteen stories."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from plivostatusd.simulator.options import AUTH_TOKEN
from tests.acceptance.daemon import API_TOKEN, SENDER, Daemon, running
from tests.wire import Answer

TAKEN = {"queued", "sent", "delivered"}
SENT_AS = {
    # How POST /send is answered when it may wait: status, and the message's; on a slow machine a
    # callback may have told more of it by then.
    **dict.fromkeys(("0001", "0002", "0003", "0004", "0005", "0006", "0008"), (202, TAKEN)),
    "0007": (202, {"unknown", "queued", "sent", "delivered"}),
    "0009": (202, TAKEN),
    "0010": (202, TAKEN),
    "0011": (202, {"unknown"}),
    "0012": (422, {"refused"}),
    "0013": (202, TAKEN),
}
ENDS_AS = {
    # Status, error code, final, and the statuses that were reported, each once.
    "0001": ("delivered", None, True, ["delivered", "queued", "sent"]),
    "0002": ("undelivered", "30", True, ["queued", "sent", "undelivered"]),
    "0003": ("failed", "420", True, ["failed", "queued"]),
    "0004": ("rejected", None, True, ["queued", "rejected", "sent"]),
    "0005": ("sent", None, False, ["queued", "sent"]),
    "0006": ("queued", None, False, []),
    "0007": ("delivered", None, True, ["delivered", "queued", "sent"]),
    "0008": ("delivered", None, True, ["delivered", "queued", "sent"]),
    "0009": ("delivered", None, True, ["delivered", "queued", "sent"]),
    "0010": ("delivered", None, True, ["delivered", "queued", "sent"]),
    "0011": ("unknown", None, False, []),
    "0012": ("refused", None, True, []),
    "0013": ("delivered", None, True, ["delivered", "queued", "sent"]),
}
TEXT = "The parcel is behind the door"


def number(digits: str) -> str:
    """Give the recipient whose story *digits* name."""
    return f"+1628901{digits}"


def status_of(reply: Answer) -> str:
    """Give the message's status from the answer to its send."""
    document = reply.json
    return str(document["message"]["status"] if reply.status == 422 else document["status"])


async def tell_all(daemon: Daemon) -> dict[str, Answer]:
    """Send one message to each story at once."""
    sends = {digits: daemon.send(number(digits), text=TEXT) for digits in ENDS_AS}
    return dict(zip(sends, await asyncio.gather(*sends.values()), strict=True))


async def followed(daemon: Daemon, ids: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Follow every story to its end, and give the messages."""
    expected = {ids[digits]: end[0] for digits, end in ENDS_AS.items()}
    await daemon.until(lambda statuses: expected.items() <= statuses.items())
    return {digits: await daemon.message(name) for digits, name in ids.items()}


def end_of(message: dict[str, Any]) -> tuple[Any, ...]:
    """Sum a message up."""
    reported = [each["status"] for each in message["events"] if each["source"] == "callback"]
    return message["status"], message["error_code"], message["final"], sorted(reported)


def assert_nothing_leaks(everything: str) -> None:
    """Look for what P6 promises nobody sees: tokens, texts and whole numbers."""
    numbers = [number(digits).removeprefix("+") for digits in ENDS_AS]
    for secret in (AUTH_TOKEN, API_TOKEN, TEXT, "parcel", SENDER.removeprefix("+"), *numbers):
        assert secret not in everything


async def test_all_stories(tmp_path: Path) -> None:
    """Each story is answered, ends and is kept as the contract says, and nothing of it leaks."""
    async with running(tmp_path, log={"level": "debug"}) as (daemon, simulator):
        daemon.allow('"callback_refused"', '"send_unknown"')
        replies = await tell_all(daemon)
        for digits, (status, words) in SENT_AS.items():
            assert (digits, status) == (digits, replies[digits].status)
            assert status_of(replies[digits]) in words
        ids = {digits: reply.json["id"] for digits, reply in replies.items()}
        messages = await followed(daemon, ids)
        assert ENDS_AS == {digits: end_of(message) for digits, message in messages.items()}
        assert [] == [each for each in messages.values() if each["conflict"]]
        assert [] == [each for each in messages.values() if each["duplicate_at_plivo"]]
        await simulator.idle()
        assert ENDS_AS == {
            digits: end_of(await daemon.message(name)) for digits, name in ids.items()
        }
        taken = {message.dst[-4:]: message.uuid for message in simulator.messages.values()}
        assert set(ENDS_AS) - {"0011", "0012"} == set(taken)
        assert {messages[digits]["message_uuid"] for digits in taken} == set(taken.values())
        metrics = (await daemon.api("GET", "/metrics")).text
        replies["again"] = await daemon.api("POST", "/send", {"to": number("x"), "text": TEXT})
        assert 400 == replies["again"].status
        await daemon.stop()
    assert_nothing_leaks(daemon.log + daemon.stderr + metrics + replies["again"].text)


async def test_forged_callbacks_change_nothing(tmp_path: Path) -> None:
    """Between genuine callbacks, every kind of forged one is 403 and leaves no trace."""
    async with running(tmp_path) as (daemon, simulator):
        daemon.allow('"callback_refused"')
        reply = await daemon.send(number("0013"))
        await daemon.until(lambda statuses: "delivered" in statuses.values())
        await simulator.idle()
        (message,) = simulator.messages.values()
        forged = [each for each in message.deliveries if each.is_forged]
        assert 7 <= len({each.forgery for each in forged})
        assert {403} == {each.answer for each in forged}
        assert {200} == {each.answer for each in message.deliveries if not each.is_forged}
        found = await daemon.message(reply.json["id"])
        assert ENDS_AS["0013"] == end_of(found)
        assert "failed" not in str(found)
        refused = [line for line in daemon.lines if line["event"] == "callback_refused"]
        assert len(forged) == len(refused)
        assert all(line["hint"] or line["reason"] == "no_signature" for line in refused)


async def test_one_line_a_callback_and_a_send(tmp_path: Path) -> None:
    """At `info` each callback and each send is one line, which names the message."""
    async with running(tmp_path) as (daemon, simulator):
        reply = await daemon.send(number("0001"))
        await daemon.until(lambda statuses: "delivered" in statuses.values())
        await simulator.idle()
        await daemon.stop()
    about = [line for line in daemon.lines if line.get("message_id") == reply.json["id"]]
    assert ["callback_recorded"] * 3 + ["send_settled"] == sorted(line["event"] for line in about)
    assert {"accepted"} == {line["outcome"] for line in about if line["event"] == "send_settled"}
    assert [["timestamp", "level", "event"]] * len(daemon.lines) == [
        list(line)[:3] for line in daemon.lines
    ]
