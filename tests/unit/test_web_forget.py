"""`POST /forget` and `plivostatusctl forget`: a number and its texts are nowhere afterwards."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from tornado.ioloop import IOLoop

from plivostatusd.flows.forgetting import SpoolInUse
from plivostatusd.store import (
    entries,
    figures,
    forgetting,
    rebuilding,
    refusals,
    submissions,
)
from plivostatusd.store.forgetting import Number
from plivostatusd.store.refusals import Refused
from tests.unit.listeners import Listeners, callback, running
from tests.unit.store_place import rows_of, submission
from tests.unit.test_ctl_daemon import run

ALICE, BOB = "+14155550001", "+4915112345678"
DIGITS = ALICE[1:]
SECRET = "the garden gate is open"
UUID = "0d2e4c1a-0000-4000-8000-00000000000{}"


@pytest.fixture
def house(io_loop: IOLoop, tmp_path: Path) -> Iterator[Listeners]:
    """Both listeners, over an empty store."""
    with running(io_loop, tmp_path) as listeners:
        yield listeners


async def forget(house: Listeners, number: object = ALICE, **more: Any) -> dict[str, Any]:
    """Forget a number; the last line comes back."""
    reply = await house.operator("POST", "/forget", {"number": number, **more})
    assert 200 == reply.status, reply.text
    lines = [json.loads(line) for line in reply.text.splitlines()]
    assert all("looked_at" in line for line in lines[:-1])
    return dict(lines[-1])


def files_with(house: Listeners, *words: str) -> set[str]:
    """Name the files beside the store, and below, in which one of *words* stands."""
    folder = house.store_path.parent
    return {
        path.name
        for path in folder.rglob("*")
        if path.is_file()
        for word in words
        if word.encode() in path.read_bytes()
    }


async def live(house: Listeners) -> str:
    """Send to Alice and Bob, with all that can hold a number; the id of a message to Alice."""
    send = {"to": ALICE, "text": SECRET, "tag": f"for {DIGITS}"}
    headers = {"Idempotency-Key": f"sms-{DIGITS}"}
    name = (await house.api("POST", "/send?wait=0", send, headers)).json["id"]
    ((ref,),) = house.rows("SELECT ref FROM messages WHERE id = ?", name)
    fields = {"MessageUUID": UUID.format(1), "To": DIGITS}
    for status in ("sent", "delivered"):
        request = callback(house, status, f"/plivo/{ref}/status", fields=fields)
        assert 200 == (await house.deliver(request)).status
    await house.api("POST", "/send?wait=0", {"to": BOB, "text": f"call {ALICE}"})
    await house.api("POST", "/send?wait=0", {"to": BOB, "text": "good morning"})
    foreign = {"MessageUUID": UUID.format(2), "To": DIGITS, "From": "14155550009"}
    await house.deliver(callback(house, "delivered", fields=foreign))
    raw = f"POST /plivo/status\n\nMessageUUID={UUID.format(3)}&To=%2B{DIGITS}".encode()
    refused = Refused(received_us=1, reason="mismatch", message_uuid=UUID.format(3), raw=raw)
    await house.writer.submit(lambda tx: refusals.keep(tx, refused))
    return str(name)


async def test_nothing_is_left_in_a_roll(house: Listeners) -> None:
    """A list that is accepted and not written out yet is written out first, and then blanked."""
    given = submission(to=[ALICE, BOB, BOB], text=SECRET)
    roll = submissions.roll_of(given, given.intents)
    await house.writer.submit(lambda tx: submissions.accept(tx, given, roll=roll))
    assert {"messages": 1, "cancelled": 1} == {
        name: count
        for name, count in (await forget(house)).items()
        if name in {"messages", "cancelled"}
    }
    assert [BOB, BOB] == [to for (to,) in house.rows("SELECT recipient_number FROM messages") if to]
    assert set() == files_with(house, ALICE)


async def test_nothing_is_left(house: Listeners) -> None:
    """Number, texts, tags, keys and raw callbacks are in no file; the rest and counts are there."""
    name = await live(house)
    tallies = await house.reader.tallies()
    assert files_with(house, DIGITS, SECRET)
    done = await forget(house)
    assert (3, [], 1) == (done["messages"], done["remains_in"], done["refused"])
    assert set() == files_with(house, DIGITS, SECRET)
    found = (await house.api("GET", f"/messages/{name}")).json
    assert (None, None, None) == (found["to"], found["text"], found["tag"])
    assert ("delivered", True) == (found["status"], found["final"])
    left = house.rows("SELECT recipient_number, message_body FROM messages ORDER BY row")
    assert [(None, None), (BOB, None), (BOB, "good morning"), (None, None)] == left
    moved = {"pending": -1, "refused": 1, "outbox.pending": -1}
    counted = {key: tallies.get(key, 0) + moved.get(key, 0) for key in {*tallies, *moved}}
    assert counted == await house.reader.tallies()
    assert 0 == len((await house.api("GET", f"/messages?to={DIGITS}")).json["messages"])


async def test_again(house: Listeners) -> None:
    """What is forgotten is not found again, and a number that is nowhere is no error."""
    await live(house)
    await forget(house)
    again = await forget(house)
    assert (0, 0, 0) == (again["messages"], again["events"], again["refused"])
    assert [] == (await forget(house, "+12025550199"))["remains_in"]


async def test_another_number_that_holds_it(house: Listeners) -> None:
    """A longer number in which the digits stand is another person's."""
    longer = f"{ALICE}77"
    await house.api("POST", "/send?wait=0", {"to": longer, "text": f"for {longer}"})
    assert 0 == (await forget(house))["messages"]
    assert [(longer, f"for {longer}")] == house.rows(
        "SELECT recipient_number, message_body FROM messages"
    )


async def test_whose_number_sends(house: Listeners) -> None:
    """Where the number is the sender, it goes and the text to somebody else stays."""
    await house.api("POST", "/send?wait=0", {"to": BOB, "from": ALICE, "text": "good morning"})
    await forget(house)
    assert [(None, BOB, "good morning")] == house.rows(
        "SELECT sender_number, recipient_number, message_body FROM messages"
    )
    assert [("pending",)] == house.rows("SELECT state FROM outbox")


async def test_pending_is_not_sent(house: Listeners) -> None:
    """What waits for the number is refused for good, by the operator's word, and never sent."""
    name = (await house.api("POST", "/send?wait=0", {"to": ALICE, "text": SECRET})).json["id"]
    assert 1 == (await forget(house))["cancelled"]
    await house.outbox.start()
    await house.outbox.stop(within_s=5)
    assert [] == house.simulator.requests
    found = (await house.api("GET", f"/messages/{name}")).json
    assert ("refused", "forgotten") == (found["status"], found["reason"])


async def test_a_call_on_its_way_is_waited_for(house: Listeners) -> None:
    """A send that is being called is blanked once its call is over; until then it keeps all."""
    name = (await house.api("POST", "/send?wait=0", {"to": ALICE, "text": SECRET})).json["id"]
    entry = await house.writer.submit(lambda tx: entries.claim(tx, 1, 2**60))
    forgotten = asyncio.ensure_future(forget(house))
    await asyncio.sleep(0)
    await house.writer.submit(lambda tx: entries.settle_unknown(tx, entry.row, "lost", 2, 2))
    done = await forgotten
    assert (1, 1, 0) == (done["messages"], done["open"], done["cancelled"])
    found = (await house.api("GET", f"/messages/{name}")).json
    assert ("unknown", None) == (found["status"], found["to"])
    assert [] == house.rows("SELECT * FROM outbox")


async def test_what_a_path_proves_is_kept(house: Listeners) -> None:
    """Of a blanked request the path stays, which proves whose it is, and no more."""
    await live(house)
    await forget(house)
    rows = house.rows(
        "SELECT instr(raw, CAST(ref AS BLOB)), raw FROM events JOIN messages"
        " ON messages.row = message WHERE raw IS NOT NULL AND ref IS NOT NULL"
    )
    assert len(rows) == 2
    for place, raw in rows:
        assert place
        assert refusals.is_blank(raw)
        assert b"MessageUUID" not in raw


async def test_index_pages(house: Listeners) -> None:
    """Among thousands of numbers whose index pages have split, none of those forgotten is left."""
    draw = random.Random(5)
    numbers = [f"+1415{each:07}" for each in draw.sample(range(2_000_000, 9_999_999), 3_000)]
    for at in range(0, len(numbers), 500):
        send = {"to": numbers[at : at + 500], "text": "hello"}
        assert 202 == (await house.api("POST", "/send?wait=0", send)).status
    assert files_with(house, *(number[1:] for number in numbers[:1]))
    gone = draw.sample(numbers, 12)
    for number in gone:
        assert [] == (await forget(house, number))["remains_in"]
    assert set() == files_with(house, *(number[1:] for number in gone))


async def test_indexes_are_built_anew(house: Listeners, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the number still stands in the store's file, its indexes are built anew."""
    found = Mock(side_effect=[[house.store_path.name], []])
    monkeypatch.setattr(house.services.forgetting, "find_in_files", found)
    rebuild = Mock(side_effect=forgetting.rebuild_index)
    monkeypatch.setattr(forgetting, "rebuild_index", rebuild)
    await live(house)
    assert [] == (await forget(house))["remains_in"]
    assert list(forgetting.INDEXES) == [call.args[1] for call in rebuild.call_args_list]


async def test_without_the_index_built_anew(
    house: Listeners, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is still in a file is said, and where."""
    monkeypatch.setattr(forgetting, "rebuild_index", lambda *_: None)
    monkeypatch.setattr(forgetting, "blank_messages", lambda *_: forgetting.Blanked())
    await house.api("POST", "/send?wait=0", {"to": ALICE, "text": SECRET})
    assert [house.store_path.name] == (await forget(house))["remains_in"]


async def test_figures_stay(house: Listeners) -> None:
    """Countries and tags are counted as before, a tag that held the number apart."""
    await live(house)
    await forget(house)
    rows = rows_of(house.store_path, "SELECT country, tag FROM figures WHERE country = '1'")
    assert [("1", "")] == list(set(rows))
    connection = rebuilding.connect(house.store_path)
    try:
        assert [] == figures.differing_days(connection)
    finally:
        connection.close()


async def test_while_the_spool_is_in_use(house: Listeners, monkeypatch: pytest.MonkeyPatch) -> None:
    """While callbacks lie in the spool nothing is forgotten, and that is said."""
    monkeypatch.setattr(house.keep, "is_spooling", True)
    reply = await house.operator("POST", "/forget", {"number": ALICE})
    assert SpoolInUse.slug in json.loads(reply.text)["error"]["type"]


@pytest.mark.parametrize(
    "demand", [{}, {"number": "x"}, {"number": 7}, {"number": ALICE, "text": "x"}]
)
async def test_not_understood(house: Listeners, demand: dict[str, Any]) -> None:
    """What is no number is 400."""
    assert 400 == (await house.operator("POST", "/forget", demand)).status


async def test_for_operators(house: Listeners) -> None:
    """Over TCP nobody asks for it."""
    assert 403 == (await house.api("POST", "/forget", {"number": ALICE})).status


async def test_the_tool(house: Listeners) -> None:
    """The tool reads the number from standard input, and says what it did, without the number."""
    await live(house)
    where = ["--socket", str(house.api_socket)]
    loop = asyncio.get_running_loop()
    ended = await loop.run_in_executor(
        None, lambda: run("forget", "-", *where, stdin=f"{ALICE}\n".encode())
    )
    assert 0 == ended.status
    assert ["messages   3", "events     3"] == ended.out.splitlines()[-4:-2]
    assert "backups are not touched" in ended.err
    assert DIGITS not in ended.out + ended.err
    told = await loop.run_in_executor(None, lambda: run("forget", ALICE, "--json", *where))
    assert '"messages": 0' in told.out


def test_no_number() -> None:
    """What is no number is 64, and is not repeated."""
    ended = run("forget", "-", stdin=b"Alice\n")
    assert (64, "") == (ended.status, ended.out)
    assert "Alice" not in ended.err


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (DIGITS, True),
        (ALICE, True),
        (f"x{DIGITS}&", True),
        (f"{ALICE}5", False),
        (f"{DIGITS}5", False),
        (f"5{DIGITS}", False),
        ("", False),
    ],
)
def test_pattern(text: str, *, found: bool) -> None:
    """A number is found by its digits alone, but not within a longer run of digits."""
    assert found == bool(Number(ALICE).pattern.search(text.encode()))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (DIGITS, True),
        (f"{ALICE}5", True),
        (f"x{DIGITS}&", True),
        (f"{DIGITS}5", False),
        (f"5{DIGITS}", False),
        (f"5{DIGITS} and {DIGITS}", True),
        ("", False),
    ],
)
def test_in_a_page(text: str, *, found: bool) -> None:
    """In a page the next column's digits may follow a number at once."""
    assert found == Number(ALICE).is_in_page(text.encode())
