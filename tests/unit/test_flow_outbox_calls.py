"""Calling Plivo: what is asked of it, each of its outcomes, what is tried again and when."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from plivostatusd.domain.errors import StoreUnavailable
from plivostatusd.flows.outbox import dispatch
from plivostatusd.flows.outbox.ledger import Ledger
from plivostatusd.plivo.outcome import (
    Accepted,
    AccountRefused,
    NotSent,
    Refused,
    Unknown,
)
from plivostatusd.store import database, entries
from plivostatusd.store.transaction import Transaction
from tests.logbook import Logbook
from tests.unit.faulty_connection import FaultyConnection
from tests.unit.scripted_plivo import Lost, Sending, sending
from tests.unit.store_place import insert_fact, opened, uuid

NOT_SENT = NotSent("ConnectionError: refused")
AT_ONCE = NotSent("429", retry_after_s=0.0, throttled=True)


async def due_in_s(house: Sending) -> float:
    """Return in how many seconds the one entry is due."""
    (due_us,) = house.place.rows("SELECT due_at FROM outbox")
    return float(due_us - house.place.clock()) / 1_000_000


async def test_what_plivo_is_asked(tmp_path: Path) -> None:
    """The call has the numbers as Plivo wants them, the text, the options, and the ref's URL."""
    async with sending(tmp_path) as house:
        message_id = await house.send(
            type="mms", media_urls=["https://example.com/a.png"], message_expiry=600, tag="bill"
        )
        (call,) = house.plivo.calls
        (ref,) = house.place.rows("SELECT ref FROM messages")
        assert ("14155551212", "14155552323", "hello") == (call.src, call.dst, call.text)
        assert f"https://sms.example.com/plivo/{ref}/status" == call.url
        assert ("mms", ("https://example.com/a.png",)) == (call.type, call.media_urls)
        assert 600 == call.message_expiry
        assert message_id not in repr(call.url)


async def test_a_powerpack(tmp_path: Path) -> None:
    """A Powerpack chooses the sender, so none is named."""
    async with sending(tmp_path) as house:
        await house.send(powerpack_uuid="86bbb125-97bb-4d72-89fd-81d5c515b015")
        (call,) = house.plivo.calls
        assert (None, "86bbb125-97bb-4d72-89fd-81d5c515b015") == (call.src, call.powerpack_uuid)


async def test_accepted(tmp_path: Path, logbook: Logbook) -> None:
    """Plivo took it: queued under its UUID, settled, counted, and one line in the log."""
    async with sending(tmp_path) as house:
        message = await house.message(await house.send())
        assert ("queued", uuid(1)) == (message["current_status"], message["message_uuid"])
        assert ["accepted"] == house.counts.outcomes
        assert [] == house.entries()
        await house.settled()
        (line,) = logbook.events("send_settled")
        assert (message["id"], "accepted", 1, "cron") == (
            line["message_id"],
            line["outcome"],
            line["attempt"],
            line["sent_by"],
        )


async def test_refused(tmp_path: Path) -> None:
    """Plivo refuses the message: kept as refused with Plivo's words, and never tried again."""
    async with sending(tmp_path, Refused(400, "invalid dst")) as house:
        message = await house.message(await house.send())
        wanted: dict[str, Any] = {"current_status": "refused", "reason": "Plivo refused it (400)"}
        wanted |= {"plivo_status": 400, "plivo_error": "invalid dst"}
        assert wanted == {name: message[name] for name in wanted}
        assert [] == house.entries()
        await house.send()
        assert 2 == len(house.plivo.calls)


async def test_unknown(tmp_path: Path) -> None:
    """An outcome that is not known is never asked for again; a callback on the ref settles it."""
    async with sending(tmp_path, Unknown("the answer was lost")) as house:
        message_id = await house.send()
        message = await house.message(message_id)
        assert ("unknown", "the answer was lost") == (message["current_status"], message["reason"])
        assert ["unknown"] == house.entries()
        await house.send()
        assert 2 == len(house.plivo.calls)
        await house.place.record(message_uuid=uuid(9), status="sent", ref=message["ref"])
        assert ("sent", ["accepted"]) == (
            await house.status(message_id),
            house.counts.outcomes[1:],
        )
        assert [] == house.entries()


@pytest.mark.expect_log("send_failed")
async def test_a_bug_during_the_call(tmp_path: Path) -> None:
    """A bug of ours during the call leaves the outcome unknown: Plivo may have heard it."""
    async with sending(tmp_path, LookupError("a bug")) as house:
        assert "unknown" == await house.status(await house.send())


@pytest.mark.expect_log("settling_failed")
async def test_a_bug_while_settling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug while an outcome is written down is logged; the entry stays claimed, others go on."""
    async with sending(tmp_path) as house:
        settle = "plivostatusd.store.entries.settle_accepted"
        with monkeypatch.context() as patched:
            patched.setattr(settle, lambda *_: 1 / 0)
            await house.record()
            await house.plivo.heard(1)
            await house.settled()
        assert "queued" == await house.status(await house.send())
        assert ["claimed"] == house.entries()


@pytest.mark.expect_log("duplicate_at_plivo")
async def test_the_answer_names_another_uuid(tmp_path: Path) -> None:
    """When a callback on the ref came under another UUID than the answer's, that is an alarm."""
    async with sending(tmp_path) as house:
        lost = Lost()
        house.plivo.answers = [lost]
        message_id = await house.record()
        await house.plivo.heard(1)
        ref = (await house.message(message_id))["ref"]
        await house.place.record(message_uuid=uuid(7), status="sent", ref=ref)
        lost.arrive(Accepted(uuid(8), None))
        await house.outbox.answered([message_id], within_s=20)
        message = await house.message(message_id)
        assert (uuid(7), 1) == (message["message_uuid"], message["duplicate_at_plivo"])


async def test_not_sent_is_tried_again(tmp_path: Path, logbook: Logbook) -> None:
    """What never reached Plivo is due again in half a second to one, and is then called again."""
    async with sending(tmp_path, NOT_SENT) as house:
        message_id = await house.record()
        await house.plivo.heard(1)
        await house.settled()
        assert "pending" == await house.status(message_id)
        assert 0.5 <= await due_in_s(house) <= 1.0
        (line,) = logbook.events("send_postponed")
        assert ("not_sent", "ConnectionError: refused") == (line["outcome"], line["reason"])
        house.place.clock.pass_(1)
        await house.outbox.answered([message_id], within_s=20)
        assert "queued" == await house.status(message_id)
        assert ["not_sent", "accepted"] == house.counts.outcomes


async def test_the_wait_doubles(tmp_path: Path) -> None:
    """Each attempt that never reached Plivo waits about twice as long as the one before."""
    async with sending(tmp_path, *[NOT_SENT] * 4) as house:
        await house.record()
        for attempt, longest_s in enumerate((1, 2, 4, 8), 1):
            await house.plivo.heard(attempt)
            await house.settled()
            assert longest_s / 2 <= await due_in_s(house) <= longest_s
            house.place.clock.pass_(longest_s)
            house.outbox._dispatch.look()
        await house.plivo.heard(5)
        await house.settled()
        assert [] == house.entries()


async def test_retry_after_is_obeyed(tmp_path: Path) -> None:
    """A 429 delays its own call by what Plivo says, and the others by a second at most."""
    async with sending(tmp_path, NotSent("429", retry_after_s=30.0, throttled=True)) as house:
        await house.record()
        await house.plivo.heard(1)
        await house.settled()
        assert 30.0 == await due_in_s(house)
        assert 0 < house.outbox._pace.next_s - asyncio.get_running_loop().time() <= 1.0


async def test_a_429_without_a_time(tmp_path: Path) -> None:
    """A 429 that names no time is tried again within a second, and holds the others for one."""
    async with sending(tmp_path, NotSent("429", throttled=True)) as house:
        await house.record()
        await house.plivo.heard(1)
        await house.settled()
        assert 0.5 <= await due_in_s(house) <= 1.0
        assert 0.5 < house.outbox._pace.next_s - asyncio.get_running_loop().time() <= 1.0


async def test_the_others_wait_as_long_as_plivo_says(tmp_path: Path) -> None:
    """When Plivo asks for less than a second, the others wait just that."""
    answer = NotSent("429", retry_after_s=0.05, throttled=True)
    async with sending(tmp_path, answer, concurrency=1) as house:
        await house.record()
        await house.plivo.heard(1)
        house.place.clock.pass_(1)
        await house.send()
        assert 0.05 <= house.plivo.at_s[1] - house.plivo.at_s[0]


async def test_retry_for_passed(tmp_path: Path) -> None:
    """A call that goes on failing to reach Plivo is refused before `retry_for` would pass."""
    async with sending(tmp_path, *[AT_ONCE] * 3, NOT_SENT, retry_for_s=0.4) as house:
        message = await house.message(await house.send())
        assert ("refused", 1) == (message["current_status"], message["final"])
        wanted = "retry_for passed before Plivo could be reached: ConnectionError: refused"
        assert wanted == message["reason"]
        assert 4 == len(house.plivo.calls)
        assert [] == house.entries()


async def test_called_back_although_not_sent(tmp_path: Path) -> None:
    """Should Plivo call back on what it was believed never to have seen, it is not sent again."""
    async with sending(tmp_path) as house:
        lost = Lost()
        house.plivo.answers = [lost]
        message_id = await house.record()
        await house.plivo.heard(1)
        ref = (await house.message(message_id))["ref"]
        await house.place.record(message_uuid=uuid(7), status="sent", ref=ref)
        lost.arrive(AT_ONCE)
        await house.outbox.answered([message_id], within_s=20)
        await house.settled()
        assert ("sent", []) == (await house.status(message_id), house.entries())
        assert 1 == len(house.plivo.calls)


async def test_forbidden_for_this_message(tmp_path: Path) -> None:
    """A 403 that a harmless question does not meet refuses the message alone."""
    async with sending(tmp_path, AccountRefused(403, "not allowed to this country")) as house:
        message = await house.message(await house.send())
        assert ("refused", 403, "not allowed to this country") == (
            message["current_status"],
            message["plivo_status"],
            message["plivo_error"],
        )
        assert house.outbox.paused is None
        assert 1 == house.plivo.probed


async def test_no_more_than_so_many_at_once(tmp_path: Path) -> None:
    """So many calls are under way as configured, and the next one begins when one ends."""
    async with sending(tmp_path, concurrency=2) as house:
        answers = [Lost() for _ in range(3)]
        house.plivo.answers = [*answers]
        ids = [await house.record() for _ in range(3)]
        await house.plivo.heard(2)
        assert ["claimed", "claimed", "pending"] == house.entries()
        answers[1].arrive(house.plivo.accepted())
        await house.plivo.heard(3)
        for each in answers[::2]:
            each.arrive(house.plivo.accepted())
        await house.outbox.answered(ids, within_s=20)
        assert [] == house.entries()


async def test_the_pace_holds(tmp_path: Path) -> None:
    """No call begins before its turn at `per_second`, however many wait."""
    begun_s = asyncio.get_running_loop().time()
    async with sending(tmp_path, per_second=50.0) as house:
        ids = [await house.record() for _ in range(5)]
        await house.outbox.answered(ids, within_s=20)
        for turn, at_s in enumerate(house.plivo.at_s):
            assert turn / 50 - 0.002 <= at_s - begun_s  # uvloop tells whole milliseconds


async def fail(house: Sending) -> None:
    """Return once the store has refused all that was submitted so far."""
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await house.place.writer.submit(lambda _: None)


@pytest.mark.expect_log("batch_failed")
async def test_an_outcome_outlasts_a_locked_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outcome that the store does not take is written down once it does."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.02)
    async with sending(tmp_path) as house:
        lost = Lost()
        house.plivo.answers = [lost]
        message_id = await house.record()
        await house.plivo.heard(1)
        with closing(sqlite3.connect(house.place.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            lost.arrive(house.plivo.accepted())
            await fail(house)
        await house.outbox.answered([message_id], within_s=20)
        assert "queued" == await house.status(message_id)
        assert 1 == len(house.plivo.calls)


@pytest.mark.expect_log("batch_failed")
async def test_a_claim_outlasts_a_locked_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the store does not take a claim, Plivo is not called; it is once the store does."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.02)
    async with sending(tmp_path, starts=False) as house:
        message_id = await house.record()
        await house.outbox.start()
        with closing(sqlite3.connect(house.place.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await fail(house)
            assert [] == house.plivo.calls
        await house.outbox.answered([message_id], within_s=20)
        assert "queued" == await house.status(message_id)


@pytest.mark.expect_log("claim_failed")
async def test_a_bug_while_claiming(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug while claiming is logged, and the outbox looks again later instead of ending."""
    monkeypatch.setattr(dispatch, "FAULT_RETRY_S", 0.01)
    async with sending(tmp_path, starts=False) as house:
        message_id = await house.record()
        claim = entries.claim
        faults = [LookupError("a bug")] * 2  # the writer tries a bad job a second time, alone

        def claim_badly(transaction: Transaction, now_us: int, steady_us: int) -> Any:
            if faults:
                raise faults.pop()
            return claim(transaction, now_us, steady_us)

        monkeypatch.setattr(entries, "claim", claim_badly)
        await house.outbox.start()
        await house.outbox.answered([message_id], within_s=20)
        assert "queued" == await house.status(message_id)


async def test_the_ledger_of_a_closed_store(tmp_path: Path) -> None:
    """What cannot be written down because the store is closed is said so, once."""
    async with opened(tmp_path) as place:
        ledger = Ledger(place.writer)
        assert "job" == await ledger.write(lambda tx: insert_fact(tx, "job"))
        await place.writer.close()
        with pytest.raises(StoreUnavailable):
            await ledger.write(lambda tx: insert_fact(tx, "job"))


@pytest.mark.expect_log("batch_failed")
async def test_a_claim_whose_commit_reports_an_error(tmp_path: Path) -> None:
    """A claim that was written although its COMMIT reported an error is taken back first."""
    async with sending(tmp_path, connect=FaultyConnection) as house:
        await house.place.writer.submit(lambda _: None)
        house.place.connection.faults = ["fine", "with"]
        message_id = await house.send()
        assert ("queued", 1) == (await house.status(message_id), len(house.plivo.calls))


@pytest.mark.expect_log("batch_failed")
async def test_an_outcome_whose_commit_reports_an_error(tmp_path: Path) -> None:
    """An outcome that was written although its COMMIT reported an error is not written twice."""
    async with sending(tmp_path, connect=FaultyConnection) as house:
        lost = Lost()
        house.plivo.answers = [lost]
        message_id = await house.record()
        await house.plivo.heard(1)
        house.place.connection.faults = ["with"]
        lost.arrive(house.plivo.accepted())
        await house.outbox.answered([message_id], within_s=20)
        events = await house.place.reader.events_of((await house.message(message_id))["row"])
        assert ["pending", "queued"] == [event["status"] for event in events]
