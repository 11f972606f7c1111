"""The thirteen stories, told over real sockets to a real receiver."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from tornado.simple_httpclient import HTTPStreamClosedError

from plivostatusd.simulator import Options, story
from plivostatusd.simulator.account import Outage
from plivostatusd.simulator.forgery import Kind
from tests.unit.simulator_receiver import SPEED, number, playing, send


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("digits", "wanted"),
    [
        ("0001", [("queued", ""), ("sent", ""), ("delivered", "")]),
        ("4321", [("queued", ""), ("sent", ""), ("delivered", "")]),
        ("0002", [("queued", ""), ("sent", ""), ("undelivered", "30")]),
        ("0003", [("queued", ""), ("failed", "420")]),
        ("0004", [("queued", ""), ("sent", ""), ("rejected", "")]),
        ("0005", [("queued", ""), ("sent", "")]),
    ],
)
async def test_plain_stories(digits: str, wanted: list[tuple[str, str]]) -> None:
    """Statuses arrive in order, in signed forms numbered from 1, with the story's error code."""
    async with playing() as (simulator, receiver):
        assert (await send(simulator, number(digits), receiver.url)).code == 202
        await simulator.idle()
        assert wanted == [(each.status, each.fields["ErrorCode"]) for each in receiver.arrived]
        assert all(each.verifies() and each.verifies(main="Ma-") for each in receiver.arrived)
        assert [str(n + 1) for n in range(len(wanted))] == [
            each.fields["Sequence"] for each in receiver.arrived
        ]
        (message,) = simulator.messages.values()
        assert wanted[-1] == (message.state, message.error_code)
        assert [200] * len(wanted) == [delivery.answer for delivery in message.deliveries]


@pytest.mark.gen_test
async def test_fields_of_a_callback() -> None:
    """A callback carries Plivo's fields, numbers without a plus, and the times known by then."""
    async with playing() as (simulator, receiver):
        reply = json.loads((await send(simulator, number("0001"), receiver.url)).body)
        await simulator.idle()
        queued, _, delivered = (each.fields for each in receiver.arrived)
        assert reply["message_uuid"] == [queued["MessageUUID"]] == [queued["ParentMessageUUID"]]
        fixed = {
            "From": "14155551212",
            "To": "14155550001",
            "Type": "sms",
            "PartInfo": "1 of 1",
            "Units": "1",
            "TotalRate": "0.0035",
            "TotalAmount": "0.0035",
            "MCC": "310",
            "MNC": "150",
            "PowerpackUUID": "",
            "requester_ip": "127.0.0.1",
        }
        assert fixed == {name: queued[name] for name in fixed}
        times = ("MessageTime", "QueuedTime", "SentTime", "DeliveryReportTime")
        assert [bool(queued[name]) for name in times] == [True, True, False, False]
        in_order = [delivered[name] for name in times]
        assert in_order == sorted(in_order)
        assert all(len("2026-11-23 08:30:02.123456") == len(moment) for moment in in_order)


@pytest.mark.gen_test
async def test_0006_is_silent() -> None:
    """No callback is made, while the API tells that the message was delivered."""
    async with playing() as (simulator, receiver):
        assert (await send(simulator, number("0006"), receiver.url)).code == 202
        await simulator.idle()
        assert receiver.arrived == []
        assert [message.state for message in simulator.messages.values()] == ["delivered"]


@pytest.mark.gen_test
async def test_0007_takes_and_drops() -> None:
    """The connection ends without an answer, and the message's callbacks come all the same."""
    async with playing() as (simulator, receiver):
        with pytest.raises(HTTPStreamClosedError):
            await send(simulator, number("0007"), receiver.url)
        await simulator.idle()
        assert receiver.statuses == ["queued", "sent", "delivered"]
        assert [request.answer for request in simulator.requests] == [None]


@pytest.mark.gen_test
@pytest.mark.parametrize("seed", range(5))
async def test_0008_doubles_and_shuffles(seed: int) -> None:
    """Each callback comes exactly twice, byte for byte, and the last to arrive is not the last."""
    async with playing(Options(port=0, speed=SPEED, seed=seed)) as (simulator, receiver):
        await send(simulator, number("0008"), receiver.url)
        await simulator.idle()
        assert sorted(receiver.statuses) == ["delivered"] * 2 + ["queued"] * 2 + ["sent"] * 2
        assert receiver.statuses[0] != "queued"
        assert receiver.statuses[-1] != "delivered"
        pairs = sorted(receiver.arrived, key=lambda each: each.status)
        assert pairs[0::2] == pairs[1::2]
        assert all(each.verifies() for each in pairs)


@pytest.mark.gen_test
async def test_0009_calls_before_it_answers() -> None:
    """The API answers only once the first callback has been answered."""
    async with playing() as (simulator, receiver):
        receiver.gate.clear()
        sending = asyncio.ensure_future(send(simulator, number("0009"), receiver.url))
        await receiver.first.wait()
        assert (simulator.requests, sending.done()) == ([], False)
        receiver.gate.set()
        assert (await sending).code == 202
        await simulator.idle()
        assert receiver.statuses == ["queued", "sent", "delivered"]


@pytest.mark.gen_test
@pytest.mark.parametrize("retry_after_s", [1, None])
async def test_0010_limits_once_a_number(retry_after_s: int | None) -> None:
    """The first send to a number gets 429, with Retry-After unless left away; then all is well."""
    options = Options(port=0, speed=SPEED, retry_after_s=retry_after_s)
    async with playing(options) as (simulator, receiver):
        first = await send(simulator, number("0010"), receiver.url)
        again = await send(simulator, number("0010"), receiver.url)
        other = await send(simulator, "+442075550010", receiver.url)
        assert [first.code, again.code, other.code] == [429, 202, 429]
        wanted = None if retry_after_s is None else str(retry_after_s)
        assert wanted == first.headers.get("Retry-After")
        await simulator.idle()
        assert len(simulator.messages) == 1


@pytest.mark.gen_test
@pytest.mark.parametrize(("digits", "code"), [("0011", 500), ("0012", 400)])
async def test_0011_and_0012_take_nothing(digits: str, code: int) -> None:
    """The send is answered with an error in Plivo's shape, and nothing was taken."""
    async with playing() as (simulator, receiver):
        reply = await send(simulator, number(digits), receiver.url)
        assert (code, {"api_id", "error"}) == (reply.code, set(json.loads(reply.body)))
        await simulator.idle()
        assert (len(simulator.messages), len(receiver.arrived)) == (0, 0)


@pytest.mark.gen_test
async def test_0013_forges_between() -> None:
    """Every kind of forgery comes once or more, is noted with its answer and never tried again."""
    async with playing() as (simulator, receiver):
        receiver.answer = lambda each: 403 if each.status == "failed" else 200
        await send(simulator, number("0013"), receiver.url)
        await simulator.idle()
        (message,) = simulator.messages.values()
        forged = [delivery for delivery in message.deliveries if delivery.is_forged]
        assert {kind.value for kind in Kind} == {delivery.forgery for delivery in forged}
        assert {(403, "failed", 1)} == {(d.answer, d.status, d.attempt) for d in forged}
        genuine = [d.status for d in message.deliveries if not d.is_forged]
        assert genuine == ["queued", "sent", "delivered"]
        assert message.state == "delivered"
        assert len(message.deliveries) == len(receiver.arrived)


@pytest.mark.gen_test
async def test_0013_strips_only_what_was_acknowledged() -> None:
    """V2 of a callback that nobody acknowledged is genuine by V2's rule, so it is not "forged"."""
    async with playing() as (simulator, receiver):
        receiver.answer = lambda each: 503 if each.status in {"sent", "delivered"} else 200
        await send(simulator, number("0013"), receiver.url)
        await simulator.idle()
        (message,) = simulator.messages.values()
        assert Kind.V3_STRIPPED.value not in {each.forgery for each in message.deliveries}


@pytest.mark.gen_test
async def test_each_recipient_has_its_story() -> None:
    """One send to several makes a message each, named in the recipients' order."""
    async with playing() as (simulator, receiver):
        dst = f"{number('0001')}<{number('0003')}<junk"
        reply = json.loads((await send(simulator, dst, receiver.url)).body)
        await simulator.idle()
        states = [simulator.messages[each].state for each in reply["message_uuid"]]
        assert (states, reply["invalid_number"]) == (["delivered", "failed"], ["junk"])


@pytest.mark.gen_test
async def test_no_url_no_callback() -> None:
    """A send without a url is told to nobody, and goes its way all the same."""
    async with playing() as (simulator, receiver):
        assert (await send(simulator, number("0009"), "")).code == 202
        await simulator.idle()
        assert receiver.arrived == []
        assert [message.state for message in simulator.messages.values()] == ["delivered"]


@pytest.mark.gen_test
async def test_a_seed_repeats_it_all() -> None:
    """The same seed gives the same identifiers, nonces and order; another gives others."""
    seen = []
    for seed in (1, 1, 2):
        options = Options(port=0, speed=SPEED, seed=seed)
        async with playing(options) as (simulator, receiver):
            await send(simulator, number("0008"), receiver.url)
            await simulator.idle()
            nonces = [each.headers["X-Plivo-Signature-V3-Nonce"] for each in receiver.arrived]
            seen.append((list(simulator.messages), receiver.statuses, nonces))
    assert seen[0] == seen[1]
    assert seen[0][0] != seen[2][0]


@pytest.mark.gen_test
async def test_an_outage_refuses_everything() -> None:
    """While an outage is set every call gets its status and nothing is taken; then all is well."""
    async with playing() as (simulator, receiver):
        simulator.outage = Outage(402, only="sends")
        assert (await send(simulator, number("0001"), receiver.url)).code == 402
        simulator.outage = None
        assert (await send(simulator, number("0001"), receiver.url)).code == 202
        assert len(simulator.messages) == 1


@pytest.mark.gen_test
async def test_stop_does_not_wait_for_anybody() -> None:
    """Stopping in the middle of a call, of a wait and of a held-back answer takes no time."""
    async with playing(Options(port=0, speed=1.0)) as (simulator, receiver):
        receiver.gate.clear()
        held = asyncio.ensure_future(send(simulator, number("0009"), receiver.url))
        simulator.take(dst="14155550001", url=receiver.url)
        await receiver.first.wait()
        began_s = time.monotonic()
        await simulator.stop()
        assert time.monotonic() - began_s < 1.0
        receiver.gate.set()
        await asyncio.wait([held])
        assert not isinstance(held.exception(), TimeoutError)


@pytest.mark.gen_test
async def test_an_own_mistake_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug inside a story comes out of `idle` instead of looking like silence."""

    def broken(_: object) -> None:
        raise ZeroDivisionError

    async with playing() as (simulator, receiver):
        monkeypatch.setattr(story.Story, "manner", property(broken))
        simulator.take(dst="14155550001", url=receiver.url)
        with pytest.raises(ZeroDivisionError):
            await simulator.idle()
