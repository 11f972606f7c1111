"""`POST /send`: every outcome, as whoever sends with curl meets it."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from plivostatusd.domain.secret import Secret
from plivostatusd.simulator.account import Outage
from plivostatusd.store import rolls
from plivostatusd.web.access import Rules
from tests.unit.listeners import HOSTS, SENDER, Listeners, running, terms, until
from tests.wire import FORM, Answer

TO = "+14155552323"
SEND = {"to": TO, "text": "hello"}
NO_CALLBACK = "+14155550006"
"""The story of a number that is never called back: only the send itself says something."""


@pytest.fixture
def house(io_loop: IOLoop, tmp_path: Path) -> Iterator[Listeners]:
    """Both listeners over an empty store; nothing is sent until `outbox.start`."""
    with running(io_loop, tmp_path) as listeners:
        yield listeners


@pytest.fixture
def sending(io_loop: IOLoop, house: Listeners) -> Listeners:
    """The same, with an outbox that calls Plivo."""
    io_loop.run_sync(house.outbox.start)
    return house


def kind_of(reply: Answer) -> str:
    """Name the kind of a problem."""
    assert "application/problem+json" == reply.headers["Content-Type"]
    return str(reply.json["type"]).removeprefix("urn:plivostatusd:problem:")


def problems_of(reply: Answer) -> dict[str, str]:
    """Give the problems of a refused send, by field."""
    assert (400, "bad-send") == (reply.status, kind_of(reply))
    return {each["field"]: each["problem"] for each in reply.json["problems"]}


MESSAGE: dict[str, type | tuple[type, ...]] = {
    "id": str,
    "message_uuid": (str, type(None)),
    **dict.fromkeys(("from", "to", "text", "status", "created_at", "updated_at"), str),
    **dict.fromkeys(("tag", "initial_status", "status_timestamp", "error_code"), (str, type(None))),
    **dict.fromkeys(("error", "reason", "final_by", "amount", "mcc"), (str, type(None))),
    **dict.fromkeys(("mnc", "sent_by", "resend_of"), (str, type(None))),
    **dict.fromkeys(("final", "conflict", "duplicate_at_plivo"), bool),
    "units": (int, type(None)),
    "delivery_seconds": (float, type(None)),
    "attempts": int,
    "called_at": str,
    "error_explained": (dict, type(None)),
}


async def test_accepted(sending: Listeners) -> None:
    """Plivo took it: 202, `queued`, its MessageUUID, and where to ask."""
    reply = await sending.api("POST", "/send", {**SEND, "to": NO_CALLBACK, "tag": "Bill 7"})
    sent = reply.json
    assert (202, "queued", "Bill 7") == (reply.status, sent["status"], sent["tag"])
    assert f"/messages/{sent['id']}" == reply.headers["Location"]
    ((plivos, taken),) = sending.simulator.messages.items()
    assert (plivos, "14155550006") == (sent["message_uuid"], taken.dst)
    assert (SENDER, NO_CALLBACK, "hello") == (sent["from"], sent["to"], sent["text"])
    assert [("pending", "local"), ("queued", "api")] == [
        (event["status"], event["trust"]) for event in sent.pop("events")
    ]
    assert set(MESSAGE) == set(sent)
    assert [] == [name for name, kind in MESSAGE.items() if not isinstance(sent[name], kind)]


async def test_no_answer_yet(house: Listeners) -> None:
    """Not waited for, or not long enough: 202 `pending`, and where to ask."""
    for query in ("?wait=0", "?wait=0.01s"):
        reply = await house.api("POST", f"/send{query}", SEND)
        assert (202, "pending") == (reply.status, reply.json["status"])
        assert f"/messages/{reply.json['id']}" == reply.headers["Location"]
        assert reply.json["reason"] is None


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"tag": "Bill 7", "message_expiry": 60},
        {"from": None, "powerpack_uuid": "86bbb125-97bb-4d89-89fd-81d5515b835e"},
    ],
    ids=["plain", "options", "powerpack"],
)
async def test_answered_as_recorded(house: Listeners, more: dict[str, Any]) -> None:
    """What nobody waits for is answered as the store has it, and the store is not asked."""
    reply = await house.api("POST", "/send?wait=0", {**SEND, **more})
    several = await house.api("POST", "/send?wait=0", {**SEND, **more, "to": [TO, NO_CALLBACK]})
    assert house.reader._connection is None
    assert reply.json == (await house.api("GET", f"/messages/{reply.json['id']}")).json
    page = (await house.api("GET", "/messages?limit=2")).json
    assert several.json["messages"] == page["messages"][::-1]


async def test_list_past_its_wait(house: Listeners) -> None:
    """A list is waited for as one message is, and each of it is told of as it stands then."""
    asked = asyncio.ensure_future(house.api("POST", "/send", {**SEND, "to": [TO, NO_CALLBACK]}))
    await until(lambda: house.rows("SELECT count(*) FROM messages") == [(2,)])
    (first, second) = (each for (each,) in house.rows("SELECT id FROM messages ORDER BY row"))
    await house.operator("POST", f"/messages/{first}/cancel", b"")
    await house.operator("POST", f"/messages/{second}/cancel", b"")
    shown = [(each["id"], each["status"]) for each in (await asked).json["messages"]]
    assert [(first, "refused"), (second, "refused")] == shown


async def test_unknown(sending: Listeners) -> None:
    """Plivo dropped the connection: 202 `unknown`, which is ours to settle."""
    reply = await sending.api("POST", "/send", {**SEND, "to": "+14155550011"})
    assert (202, "unknown") == (reply.status, reply.json["status"])
    assert reply.json["reason"]
    assert 1 == len(sending.simulator.requests)


async def test_refused(sending: Listeners) -> None:
    """Plivo refused this message: 422 with its own words, and the message is kept."""
    reply = await sending.api("POST", "/send", {**SEND, "to": "+14155550012"})
    assert (422, "refused") == (reply.status, kind_of(reply))
    assert 400 == reply.json["plivo_status"]
    assert "refused by the story of this number" == reply.json["plivo_error"]
    kept = (await sending.api("GET", f"/messages/{reply.json['id']}")).json
    assert ("refused", True) == (kept["status"], kept["final"])
    assert reply.json["message"]["id"] == kept["id"]


@pytest.mark.expect_log("outbox_paused")
async def test_account_refused(sending: Listeners) -> None:
    """Plivo refuses the account: what was recorded waits, what is new gets 503 and is not kept."""
    sending.simulator.outage = Outage(401)
    reply = await sending.api("POST", "/send", SEND)
    assert (202, "pending") == (reply.status, reply.json["status"])
    assert "401" in reply.json["reason"]
    reply = await sending.api("POST", "/send", SEND)
    assert (503, "outbox-paused") == (reply.status, kind_of(reply))
    assert int(reply.headers["Retry-After"]) > 0
    assert "401" in reply.json["detail"]
    assert [(1,)] == sending.rows("SELECT count(*) FROM messages")


@pytest.mark.expect_log("outbox_paused")
async def test_known_key_while_paused(sending: Listeners) -> None:
    """While the outbox is paused, a key that was here before is answered all the same."""
    key = {"Idempotency-Key": "known"}
    first = await sending.api("POST", "/send", {**SEND, "to": NO_CALLBACK}, key)
    sending.simulator.outage = Outage(402)
    await sending.api("POST", "/send", SEND)
    again = await sending.api("POST", "/send", {**SEND, "to": NO_CALLBACK}, key)
    assert (202, first.json["id"]) == (again.status, again.json["id"])
    new = await sending.api("POST", "/send", SEND, {"Idempotency-Key": "new"})
    assert 503 == new.status


async def test_all_problems_at_once(house: Listeners) -> None:
    """A bad send names everything that is wrong with it, and leaves nothing behind."""
    send = {"to": "0123", "from": "?!", "tex": "hello", "type": "fax", "message_expiry": 1}
    send |= {"media_urls": ["ftp://x"], "dlt_template_category": "spam", "tag": "x" * 999}
    found = problems_of(await house.api("POST", "/send", send))
    assert {*send, "text"} == set(found)
    assert [] == house.rows("SELECT id FROM messages")
    assert 0 == house.writer.commits


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", FORM),
        (b"hello", FORM),
        (b"[]", "application/json"),
        (b"null", "application/json"),
        (b'{"to": ', "application/json"),
        (b"\xff\xfe", "application/json"),
        (b'{"to":"+14155552323","to":"+14155552324","text":"x"}', "application/json"),
        (b"to=%2B14155552323&text=a&text=b", FORM),
        (b"to=%ff&text=a", FORM),
        (b"--x\r\n", "multipart/form-data; boundary=x"),
        (b"[" * 100_000, "application/json"),
    ],
)
async def test_unreadable(house: Listeners, body: bytes, kind: str) -> None:
    """What is neither a JSON object nor a form is 400, whatever it is."""
    assert problems_of(await house.api("POST", "/send", body, {"Content-Type": kind}))


async def test_unknown_wait(house: Listeners) -> None:
    """A wait that is none, or a parameter that is not known, is 400 and sends nothing."""
    for query in ("wait=soon", "wait=-1", "wait=1h", "wait=61", "wiat=0"):
        reply = await house.api("POST", f"/send?{query}", SEND)
        assert (400, "bad-query") == (reply.status, kind_of(reply))
    assert [] == house.rows("SELECT id FROM messages")


async def test_list(sending: Listeners) -> None:
    """A list of recipients is one message each, in order, answered with a status each."""
    ends = ["0006", "0012", "0006"]
    numbers = [f"+1415555{end}" for end in ends]
    reply = await sending.api("POST", "/send", {"to": numbers, "text": "hello"})
    assert 202 == reply.status
    messages = reply.json["messages"]
    assert numbers == [each["to"] for each in messages]
    assert ["queued", "refused", "queued"] == [each["status"] for each in messages]
    assert 3 == len({each["id"] for each in messages})


async def test_list_of_one(house: Listeners) -> None:
    """A list of one is answered as a list."""
    reply = await house.api("POST", "/send?wait=0", {"to": [TO], "text": "hello"})
    assert [TO] == [each["to"] for each in reply.json["messages"]]


async def test_longest_list(house: Listeners) -> None:
    """1,000 recipients are taken, in one commit and one a step; 1,001 are 400."""
    numbers = [f"+1415{index:07}" for index in range(2_000_000, 2_001_001)]
    reply = await house.api("POST", "/send?wait=0", {"to": numbers[:1_000], "text": "hello"})
    assert 202 == reply.status
    assert numbers[:1_000] == [each["to"] for each in reply.json["messages"]]
    assert 1 + 1_000 // rolls.STEP_ALONE == house.writer.commits
    assert "to" in problems_of(await house.api("POST", "/send", {"to": numbers, "text": "hello"}))
    assert [(1_000,)] == house.rows("SELECT count(*) FROM messages")


async def test_list_with_bad_entries(house: Listeners) -> None:
    """Bad entries are named each, and refuse the whole list."""
    numbers = [TO, "nonsense", 7, "+1", None]
    found = problems_of(await house.api("POST", "/send", {"to": numbers, "text": "hello"}))
    assert ["to[1]", "to[2]", "to[3]", "to[4]"] == sorted(found)
    assert [] == house.rows("SELECT id FROM messages")


async def test_key_again(sending: Listeners) -> None:
    """The same key and body get the message's present state, and nothing is sent again."""
    key = {"Idempotency-Key": "order 17".replace(" ", "-")}
    send = {**SEND, "to": NO_CALLBACK}
    replies = [await sending.api("POST", "/send", send, key) for _ in range(3)]
    assert [202] * 3 == [reply.status for reply in replies]
    assert 1 == len({reply.json["id"] for reply in replies})
    assert 1 == len(sending.simulator.messages)
    form = f"text=hello&to={NO_CALLBACK}".encode()
    as_form = await sending.api("POST", "/send", form, {**key, "Content-Type": FORM})
    assert replies[0].json["id"] == as_form.json["id"]


async def test_key_of_a_list(sending: Listeners) -> None:
    """A list's key gets the whole list again."""
    key = {"Idempotency-Key": "newsletter"}
    send = {"to": [NO_CALLBACK, "+14155560006"], "text": "hello"}
    first, again = [await sending.api("POST", "/send", send, key) for _ in range(2)]
    ids = [each["id"] for each in first.json["messages"]]
    assert ids == [each["id"] for each in again.json["messages"]]
    assert 2 == len(sending.simulator.messages)


async def test_key_of_a_refused_message(sending: Listeners) -> None:
    """A key whose message was refused gets its 422 again."""
    key = {"Idempotency-Key": "refused"}
    send = {**SEND, "to": "+14155550012"}
    first, again = [await sending.api("POST", "/send", send, key) for _ in range(2)]
    assert [422, 422] == [first.status, again.status]
    assert first.json["id"] == again.json["id"]
    assert "refused by the story of this number" == again.json["plivo_error"]
    assert 1 == len(sending.simulator.requests)


async def test_key_with_another_body(house: Listeners) -> None:
    """A key that comes with another body is 422, and nothing is sent."""
    key = {"Idempotency-Key": "one"}
    await house.api("POST", "/send?wait=0", SEND, key)
    for other in ({**SEND, "text": "bye"}, {**SEND, "to": [TO]}, {**SEND, "tag": "x"}):
        reply = await house.api("POST", "/send?wait=0", other, key)
        assert (422, "key-reused") == (reply.status, kind_of(reply))
    assert [(1,)] == house.rows("SELECT count(*) FROM messages")


async def test_key_in_flight(house: Listeners) -> None:
    """While the first request with a key is being committed, a second one is 409."""
    key = {"Idempotency-Key": "twice"}
    with house.locked_store():
        both = {
            asyncio.ensure_future(house.api("POST", "/send?wait=0", SEND, key)) for _ in range(2)
        }
        (second,), (first,) = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        assert (409, "key-in-flight") == (second.result().status, kind_of(second.result()))
    sent = await first
    assert 202 == sent.status
    again = await house.api("POST", "/send?wait=0", SEND, key)
    assert sent.json["id"] == again.json["id"]


async def test_keys_are_each_tokens_own(house: Listeners) -> None:
    """One program's key does not answer another's."""
    tokens = {"billing": Secret("billing-token-01234"), "cron": Secret("cron-token-0123456")}
    house.services.rules = Rules(HOSTS, tokens)
    ids = set()
    for token in ("billing-token-01234", "cron-token-0123456"):
        headers = {"Idempotency-Key": "same", "Authorization": f"Bearer {token}"}
        ids.add((await house.api("POST", "/send?wait=0", SEND, headers)).json["id"])
    assert 2 == len(ids)


@pytest.mark.parametrize("key", ["", "x" * 256, "with blank", "tab\tin it", "nicht-ascii-é"])
async def test_key_that_is_none(house: Listeners, key: str) -> None:
    """A key that could not be kept is refused instead of ignored."""
    reply = await house.api("POST", "/send", SEND, {"Idempotency-Key": key})
    assert "Idempotency-Key" in problems_of(reply)


@pytest.mark.parametrize("limit", [{"queue_max": 2}, {"per_day": 2}])
async def test_own_limits(house: Listeners, limit: dict[str, int]) -> None:
    """Past a limit of our own: 429, when to come again, and nothing recorded."""
    house.outbox.change(terms(**limit))
    for _ in range(2):
        assert 202 == (await house.api("POST", "/send?wait=0", SEND)).status
    reply = await house.api("POST", "/send?wait=0", SEND)
    assert (429, "limit-reached") == (reply.status, kind_of(reply))
    assert int(reply.headers["Retry-After"]) > 0
    assert [(2,)] == house.rows("SELECT count(*) FROM messages")


@pytest.mark.expect_log("batch_failed")
async def test_intent_that_is_not_committed(house: Listeners) -> None:
    """When the store takes nothing, a send is 503 and nothing of it comes to light later."""
    with house.locked_store():
        reply = await house.api("POST", "/send?wait=0", SEND)
        assert (503, "store-unavailable") == (reply.status, kind_of(reply))
    assert 202 == (await house.api("POST", "/send?wait=0", SEND)).status
    assert [(1,)] == house.rows("SELECT count(*) FROM messages")


async def test_send_while_stopping(house: Listeners) -> None:
    """While the daemon stops, what is recorded is answered at once: nobody calls Plivo now."""
    house.services.stopping.set()
    reply = await house.api("POST", "/send?wait=60", SEND)
    assert (202, "pending") == (reply.status, reply.json["status"])
    assert "close" == reply.headers["Connection"]


async def test_held(sending: Listeners) -> None:
    """While an operator holds the outbox, sends are taken and say why they wait."""
    await sending.operator("POST", "/outbox/hold", b"")
    reply = await sending.api("POST", "/send", {**SEND, "to": NO_CALLBACK})
    assert (202, "pending") == (reply.status, reply.json["status"])
    assert "held" in reply.json["reason"]


async def curl(house: Listeners, *arguments: str) -> tuple[int, Any]:
    """Send with the curl that is installed here; status and JSON come back."""
    url = f"http://127.0.0.1:{house.api_port}/send?wait=0"
    command = ["curl", "-sS", "-w", "\n%{http_code}", *arguments, url]
    run = asyncio.to_thread(subprocess.run, command, capture_output=True, check=True, text=True)
    body, _, status = (await run).stdout.rpartition("\n")
    return int(status), json.loads(body)


@pytest.mark.parametrize(
    ("arguments", "to", "text"),
    [
        ("-d to=+14155552323 -d text=hello", TO, "hello"),
        ("-d to=14155552323 -d text=hello", TO, "hello"),
        ("-d to=%2B14155552323 -d text=a%20b+c", TO, "a b c"),
        ("--data-urlencode to=+14155552323 --data-urlencode text=1+1=2", TO, "1+1=2"),
        ("-d to=+1-415-555-2323 -d text=ä€🙂", TO, "ä€🙂"),
        ('-d {"to":"+14155552323","text":"a+b"}', TO, "a+b"),
        ('-d {"to":"+14155552323","text":"a"} -H Content-Type:application/json', TO, "a"),
        ('--json {"to":"+14155552323","text":"a"}', TO, "a"),
        ("-d to=+14155552323 -d from=+14155551313 -d text=hello", TO, "hello"),
    ],
)
async def test_what_curl_sends(house: Listeners, arguments: str, to: str, text: str) -> None:
    """What curl really sends is understood as its user meant it."""
    status, sent = await curl(house, *arguments.split(" "))
    assert (202, to, text) == (status, sent["to"], sent["text"])
    assert ("+14155551313" if "from=" in arguments else SENDER) == sent["from"]


async def test_what_curl_sends_for_several(house: Listeners) -> None:
    """`to` given twice in a form is a list."""
    status, sent = await curl(house, "-d", f"to={TO}", "-d", "to=+14155552324", "-d", "text=a")
    assert 202 == status
    assert [TO, "+14155552324"] == [each["to"] for each in sent["messages"]]


async def test_curls_form_uploads(house: Listeners) -> None:
    """`curl -F` sends what we do not read, and is told so."""
    status, document = await curl(house, "-F", f"to={TO}", "-F", "text=a")
    assert 400 == status
    assert "-F" in document["detail"]
