"""Single questions: which, in what order, at what pace, and what an answer changes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from plivostatusd.domain.asking import CONTESTED, DOUBTED, LAST_WORD_SENT, SILENT
from plivostatusd.plivo.outcome import AccountRefused, NotSent, Unknown
from plivostatusd.store import asks, pruning
from tests.logbook import Logbook
from tests.unit.asked_plivo import AFTER_S, SILENCE_S, Asking, Held, asking
from tests.unit.faulty_connection import FaultyConnection
from tests.unit.store_place import START_US, uuid

HOUR_S, DAY_S = 3600.0, 86_400.0


async def silent(house: Asking, number: int, **options: Any) -> str:
    """Send a message of which nothing more is heard for `reconcile.after`."""
    entry = await house.sent(number, **options)
    house.place.clock.pass_(AFTER_S)
    await house.take_down()
    return entry.id


async def test_a_silent_message_is_asked_about(tmp_path: Path, logbook: Logbook) -> None:
    """What no callback told, Plivo's API does: recorded with its source, logged, counted, done."""
    async with asking(tmp_path) as house:
        name = await silent(house, 1)
        house.plivo.know(1, "delivered", START_US, error_code="000", units=2, mcc="310")
        await house.ask_all()
        found = await house.message(name)
        assert ("delivered", 1, 2, "310") == (
            found["current_status"],
            found["final"],
            found["units"],
            found["mcc"],
        )
        assert ("delivered", "api", "api") == house.place.rows(
            "SELECT status, source, trust FROM events ORDER BY row DESC LIMIT 1"
        ).pop()
        assert ([uuid(1)], [], ["changed"]) == (
            house.plivo.asked,
            house.planned(),
            house.counts.results,
        )
        (line,) = logbook.events("message_reconciled")
        assert (name, "changed", "delivered", "queued") == (
            line["message_id"],
            line["result"],
            line["status"],
            line["status_before"],
        )


async def test_before_its_time_nobody_is_asked(tmp_path: Path) -> None:
    """A message is left alone until it has been silent for `reconcile.after`."""
    async with asking(tmp_path) as house:
        await house.sent(1)
        house.place.clock.pass_(AFTER_S - 1)
        await house.take_down()
        await house.ask_all()
        assert ([], [(1, SILENT, 1.0, 0)]) == (house.plivo.asked, house.planned())


async def test_what_is_settled_meanwhile_is_not_asked_about(tmp_path: Path) -> None:
    """A message whose outcome a callback tells before the question is due costs none."""
    async with asking(tmp_path) as house:
        await silent(house, 1)
        await house.place.record(message_uuid=uuid(1), status="delivered")
        await house.ask_all()
        assert ([], []) == (house.plivo.asked, house.planned())


async def test_most_urgent_then_oldest(tmp_path: Path) -> None:
    """Contradictions go first, then silence, then doubt, then `sent`; of each the oldest."""
    async with asking(tmp_path) as house:
        urgencies = [LAST_WORD_SENT, SILENT, DOUBTED, CONTESTED, SILENT, CONTESTED]
        for number, urgency in enumerate(urgencies, start=1):
            entry = await house.sent(number)
            await house.do(asks.note, entry.row, urgency, START_US - number)
        await house.ask_all()
        order = sorted(range(1, 7), key=lambda number: (urgencies[number - 1], -number))
        assert [uuid(number) for number in order] == house.plivo.asked


async def test_at_the_pace(tmp_path: Path) -> None:
    """Questions are asked one by one, `reconcile.get_per_second` of them and no more."""
    async with asking(tmp_path, get_per_second=50.0) as house:
        for number in range(6):
            await house.sent(number)
        house.place.clock.pass_(AFTER_S)
        await house.take_down()
        turns_s = house.turns_s()
        await house.ask_all()
        assert 6 == len(turns_s) == len(house.plivo.asked)
        assert all(at - turns_s[0] > turn * 0.0199 for turn, at in enumerate(turns_s[1:], 1))


async def test_what_plivo_says_again_is_not_written_again(tmp_path: Path) -> None:
    """A message asked about for days grows no history of nothing, and is asked more seldom."""
    async with asking(tmp_path) as house:
        await silent(house, 1)
        house.plivo.know(1, "queued", START_US)
        pauses = []
        for _ in range(12):
            await house.ask_all()
            ((_, _, pause_s, _),) = house.planned()
            pauses.append(pause_s)
            house.place.clock.pass_(pause_s)
        assert [1200.0, 2400.0, 4800.0, 9600.0] == pauses[:4]
        assert [DAY_S, DAY_S] == pauses[-2:]
        assert sorted(pauses) == pauses
        assert [1] == house.place.rows("SELECT count(*) FROM events WHERE source = 'api'")
        assert ["confirmed", *["unchanged"] * 11] == house.counts.results


async def test_sent_becomes_final_by_silence(tmp_path: Path, logbook: Logbook) -> None:
    """A `sent` is asked about less often, the last time when it becomes final by silence."""
    async with asking(tmp_path) as house:
        name = await silent(house, 1)
        await house.place.record(message_uuid=uuid(1), status="sent")
        house.plivo.know(1, "sent", START_US)
        asked_at_s = []
        while house.planned():
            house.place.clock.pass_(house.planned()[0][2])
            await house.ask_all()
            asked_at_s.append((house.place.clock() - START_US) / 1e6 - AFTER_S)
        assert [0.0, 8 * HOUR_S, 72 * HOUR_S] == asked_at_s
        found = await house.message(name)
        assert ("sent", 1, "silence") == (
            found["current_status"],
            found["final"],
            found["final_by"],
        )
        assert "silent" == house.counts.results[-1]
        await house.place.record(message_uuid=uuid(1), status="delivered")
        found = await house.message(name)
        assert ("delivered", "status") == (found["current_status"], found["final_by"])
        assert ["confirmed", "unchanged", "silent"] == house.counts.results
        assert 2 == len(
            [
                line
                for line in logbook.lines
                if line.fields.get("result") != "unchanged" and line.event == "message_reconciled"
            ]
        )


async def test_silence_without_asking(tmp_path: Path) -> None:
    """With `reconcile.after = 0` nobody is asked, and a `sent` becomes final all the same."""
    async with asking(tmp_path, after_s=0.0) as house:
        sent, queued = await house.sent(1), await house.sent(2)
        await house.place.record(message_uuid=uuid(1), status="sent")
        await house.take_down()
        assert [(sent.row, LAST_WORD_SENT, SILENCE_S, 0)] == house.planned()
        house.place.clock.pass_(SILENCE_S)
        await house.ask_all()
        assert ([], []) == (house.plivo.asked, house.planned())
        found = await house.message(sent.id)
        assert "silence" == found["final_by"]
        assert 0 == (await house.message(queued.id))["final"]
        assert ["silent"] == house.counts.results


async def test_absent(tmp_path: Path) -> None:
    """That Plivo does not know a message is written nowhere, and it is asked about more seldom."""
    async with asking(tmp_path) as house:
        name = await silent(house, 1)
        await house.ask_all()
        assert "queued" == await house.status(name)
        assert [(1, SILENT, 2 * AFTER_S, 1)] == house.planned()
        assert (["absent"], 0) == (
            house.counts.results,
            len(house.place.rows("SELECT 1 FROM events WHERE source = 'api'")),
        )


@pytest.mark.parametrize("known", ["delivered", "undelivered"])
async def test_two_outcomes_are_settled(tmp_path: Path, known: str) -> None:
    """Of two final statuses Plivo's API says which: at once, and the conflict stays on record."""
    async with asking(tmp_path) as house:
        entry = await house.sent(1)
        for status in ("delivered", "undelivered"):
            await house.place.record(message_uuid=uuid(1), status=status)
        house.plivo.know(1, known, START_US)
        await house.ask_all()
        found = await house.message(entry.id)
        assert (known, 1, 1) == (found["current_status"], found["conflict"], found["final"])
        assert [] == house.planned()


async def test_a_contradiction_that_plivo_does_not_settle(tmp_path: Path) -> None:
    """As long as Plivo's API does not say which, it is asked again, more and more seldom."""
    async with asking(tmp_path) as house:
        await house.sent(1)
        for status in ("delivered", "undelivered"):
            await house.place.record(message_uuid=uuid(1), status=status)
        pauses = []
        for _ in range(3):
            await house.ask_all()
            ((_, urgency, pause_s, _),) = house.planned()
            assert CONTESTED == urgency
            pauses.append(pause_s)
            house.place.clock.pass_(pause_s)
        assert [120.0, 240.0, 480.0] == pauses


async def test_a_doubtful_outcome_is_confirmed(tmp_path: Path) -> None:
    """An outcome that only V2 vouches for is confirmed by the API, whose trust it then has."""
    async with asking(tmp_path) as house:
        entry = await house.sent(1)
        ref = entry.ref
        await house.place.record(message_uuid=uuid(1), status="sent", trust="url-only", ref=ref)
        assert [] == house.planned()
        await house.place.record_doubtful(message_uuid=uuid(1), status="delivered")
        house.plivo.know(1, "delivered", START_US)
        await house.ask_all()
        assert ("delivered", []) == (await house.status(entry.id), house.planned())
        assert ["confirmed"] == house.counts.results


async def test_a_lie_is_found_out(tmp_path: Path, logbook: Logbook) -> None:
    """A doubtful outcome that the API does not know is a conflict, and the API's word holds."""
    async with asking(tmp_path) as house:
        entry = await house.sent(1)
        await house.place.record_doubtful(message_uuid=uuid(1), status="delivered")
        house.plivo.know(1, "failed", START_US, error_code="420")
        await house.ask_all()
        found = await house.message(entry.id)
        assert ("failed", 1, "420") == (
            found["current_status"],
            found["conflict"],
            found["error_code"],
        )
        (line,) = logbook.events("message_reconciled")
        assert ("420", "message expired in Plivo's queue") == (line["error_code"], line["error"])


async def test_a_message_deleted_during_the_question(tmp_path: Path) -> None:
    """Whose row is gone by the time of the answer is forgotten about, and nothing else is lost."""
    async with asking(tmp_path) as house:
        await silent(house, 1)
        held = Held(house.plivo)
        house.plivo.findings = [held]
        house.plivo.know(1, "delivered", START_US)
        asking_now = asyncio.ensure_future(house.reconcile._questions.round())
        await held.asked.wait()
        await house.do(pruning.delete_messages, house.place.clock() + 1)
        held.gone_on.set()
        assert 1 == await asking_now
        assert ([], []) == (house.counts.results, house.planned())


async def test_a_message_joined_during_the_question(tmp_path: Path) -> None:
    """An answer about a row that was joined to our send meanwhile goes to the send."""
    async with asking(tmp_path) as house:
        entry = await house.claimed()
        await house.place.record(message_uuid=uuid(1), status="sent")
        house.place.clock.pass_(AFTER_S * 6)
        await house.take_down()
        held = Held(house.plivo)
        house.plivo.findings = [held]
        house.plivo.know(1, "delivered", START_US)
        asking_now = asyncio.ensure_future(house.reconcile._questions.round())
        await held.asked.wait()
        await house.place.record(message_uuid=uuid(1), status="sent", ref=entry.ref)
        held.gone_on.set()
        await asking_now
        assert "delivered" == await house.status(entry.id)


@pytest.mark.expect_log("reconcile_paused")
@pytest.mark.parametrize(
    "failure", [Unknown("HTTP 500", 500), NotSent("refused"), AccountRefused(401, "no")]
)
async def test_no_answer(tmp_path: Path, failure: Any) -> None:
    """A question without a usable answer counts as failed, and is asked again a minute later."""
    async with asking(tmp_path) as house:
        await silent(house, 1)
        house.plivo.findings = [failure]
        assert 1 == await house.reconcile._questions.round()
        assert ([(1, SILENT, 60.0, 0)], ["failed"]) == (house.planned(), house.counts.results)


@pytest.mark.expect_log("reconcile_paused")
async def test_while_the_brake_is_on_no_more_are_asked(tmp_path: Path) -> None:
    """The failure of one question keeps those that wait for their turn from being asked."""
    async with asking(tmp_path, get_per_second=200.0) as house:
        for number in range(4):
            await house.sent(number)
        house.place.clock.pass_(AFTER_S)
        await house.take_down()
        house.plivo.findings = [Unknown("HTTP 500", 500)] * 4
        house.desk.brake._first_s = 60.0
        await house.reconcile._questions.round()
        assert [uuid(0)] == house.plivo.asked
        assert 4 == len(house.planned())


@pytest.mark.expect_log("batch_failed")
async def test_the_store_takes_nothing(tmp_path: Path, logbook: Logbook) -> None:
    """When the store fails the flow goes on, and asks again once it can write the answer down."""
    async with asking(tmp_path, connect=FaultyConnection, after_s=1.0) as house:
        entry = await house.sent(1)
        house.place.clock.pass_(AFTER_S)
        house.plivo.know(1, "delivered", START_US)

        async def broken(message_uuid: str) -> Any:
            house.place.connection.faults = ["without"]
            return house.plivo.knowledge(message_uuid)

        house.plivo.findings = [broken]
        await house.take_down()
        story = asyncio.ensure_future(house.reconcile._questions.run())
        while "delivered" != await house.status(entry.id):
            await house.place.writer.changed()
        story.cancel()
        await asyncio.wait([story])
        assert [uuid(1)] * 2 == house.plivo.asked
        assert [] == logbook.events("reconcile_failed")


@pytest.mark.expect_log("reconcile_failed")
async def test_a_fault_of_ours(tmp_path: Path) -> None:
    """What goes wrong in this program with one question is logged, and the flow goes on."""
    async with asking(tmp_path, after_s=1.0) as house:
        entry = await silent(house, 1)
        house.plivo.findings = [ZeroDivisionError("a fault")]
        house.plivo.know(1, "delivered", START_US)
        story = asyncio.ensure_future(house.reconcile._questions.run())
        while "delivered" != await house.status(entry):
            await house.place.writer.changed()
        story.cancel()
        await asyncio.wait([story])
        assert [uuid(1)] * 2 == house.plivo.asked
