"""Reconciling as a whole: idle, under changing terms, and in doubt."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from plivostatusd.domain.asking import SILENT
from plivostatusd.domain.errors import StoreUnavailable
from plivostatusd.flows.reconcile.brake import Brake
from plivostatusd.plivo.outcome import AccountRefused, Finding, Unknown
from plivostatusd.store import pruning, watching
from tests.logbook import Logbook
from tests.unit.asked_plivo import AFTER_S, AskedPlivo, asking, terms
from tests.unit.faulty_connection import FaultyConnection
from tests.unit.store_place import START_US, insert_fact, uuid


async def test_idle(tmp_path: Path) -> None:
    """With nothing to ask, it looks now and then, and otherwise leaves the store alone."""
    async with asking(tmp_path) as house, house.running():
        for _ in range(2):  # both parts that look have been there
            await house.place.writer.changed()
        house.desk.ring()
        await house.place.writer.changed()
        before = house.place.writer.commits
        await asyncio.wait([asyncio.ensure_future(house.place.writer.changed())], timeout=0.1)
        assert house.place.writer.commits - before < 10


async def test_rung_during_a_look(tmp_path: Path) -> None:
    """News that come while a part looks has it look once more: no ring is lost."""
    async with asking(tmp_path) as house:
        bell, other = house.desk.bell(), house.desk.bell()
        bell.clear()
        house.desk.ring()
        await house.desk.rest(bell)
        bell.clear()
        resting = asyncio.ensure_future(house.desk.rest(bell))
        await asyncio.wait([resting], timeout=0.02)
        assert not resting.done()
        house.desk.ring()
        await resting
        assert other.is_set()


async def test_a_rest_ends(tmp_path: Path) -> None:
    """Without news it looks again all the same, four times in `reconcile.after`."""
    async with asking(tmp_path, after_s=0.8) as house:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        await house.desk.rest(house.desk.bell())
        assert 0.199 < loop.time() - began_s < 10


async def test_silence_is_noticed_by_itself(tmp_path: Path) -> None:
    """A running flow takes silent messages down, and asks about them."""
    async with asking(tmp_path, after_s=0.8) as house:
        await house.sent(1)
        house.plivo.know(1, "delivered", START_US)
        house.place.clock.pass_(AFTER_S)
        async with house.running():
            await house.plivo.heard(questions=1)
            await house.sent(2)
            house.plivo.know(2, "delivered", START_US)
            house.place.clock.pass_(AFTER_S)
            await house.plivo.heard(questions=2)
        assert [uuid(1), uuid(2)] == house.plivo.asked


async def test_doubt(tmp_path: Path) -> None:
    """Who may have been lied about is asked about soon, most urgently, even when it is final."""
    async with asking(tmp_path) as house, house.running():
        told = await house.place.record(message_uuid=uuid(1), status="delivered")
        house.plivo.know(1, "failed", START_US)
        assert told.message_id is not None
        house.reconcile.doubt(told.message_id)
        house.reconcile.doubt("nobody")
        await house.plivo.heard(questions=1)
        while "failed" != await house.status(told.message_id):
            await house.place.writer.changed()
        assert [] == house.planned()


@pytest.mark.expect_log("batch_failed")
async def test_doubt_that_cannot_be_noted(tmp_path: Path, logbook: Logbook) -> None:
    """While the store takes nothing a doubt is lost, and that is said."""
    async with asking(tmp_path, connect=FaultyConnection) as house:
        house.place.connection.faults = ["without"]
        house.reconcile.doubt("somebody")
        with pytest.raises(StoreUnavailable):
            await house.do(insert_fact, "x")
        assert 1 == len(logbook.events("question_not_noted"))


async def test_new_terms(tmp_path: Path) -> None:
    """New terms hold from the next question on, and what they make due is looked at."""
    async with asking(tmp_path, after_s=0.0, get_per_second=1.0, list_per_minute=60.0) as house:
        await house.sent(1)
        house.place.clock.pass_(AFTER_S)
        await house.take_down()
        assert [] == house.planned()
        bell = house.desk.bell()
        house.reconcile.change(terms(after_s=60.0, get_per_second=50.0, list_per_minute=120.0))
        assert bell.is_set()
        assert (50.0, 120 / 61) == (house.desk.get_pace.per_second, house.desk.list_pace.per_second)
        await house.take_down()
        assert [(1, SILENT, 0.0, 0)] == house.planned()


async def test_behind_the_newest(tmp_path: Path) -> None:
    """Messages are gone along `reconcile.after` behind the newest one, by a clock nobody sets."""
    async with asking(tmp_path, after_s=100.0) as house:
        await house.reconcile.begin()
        seen = []
        for number in range(6):
            await house.sent(number)
            await house.reconcile._take_down()
            seen.append(await house.do(watching.watched))
            house.reconcile._rows = [(at_s - 40, row) for at_s, row in house.reconcile._rows]
        assert [0, 0, 0, 1, 2, 3] == seen
        assert 4 == len(house.reconcile._rows)


@pytest.mark.expect_log("reconcile_paused")
async def test_new_credentials(tmp_path: Path) -> None:
    """A new token is tried at once, whatever the old one met; the old one's end is no news."""
    async with asking(tmp_path) as house:
        entry = await house.sent(1)
        house.place.clock.pass_(AFTER_S)
        house.desk.brake = Brake(first_s=3_600.0)
        old, new = house.plivo, AskedPlivo()
        old.findings = [AccountRefused(401, "no")]
        new.know(1, "delivered", START_US)
        async with house.running():
            await old.heard(questions=1)
            while not house.desk.brake.is_on:
                await house.place.writer.changed()
            house.place.clock.pass_(60)
            house.reconcile.replace_api(new)
            await new.heard(questions=1)
            while "delivered" != await house.status(entry.id):
                await house.place.writer.changed()


async def test_an_answer_of_old_credentials(tmp_path: Path) -> None:
    """A question that ends because the credentials were replaced under it makes nobody wait."""
    async with asking(tmp_path) as house:
        await house.sent(1)
        house.place.clock.pass_(AFTER_S)
        await house.take_down()

        async def replaced(_message_uuid: str) -> Finding:
            house.reconcile.replace_api(AskedPlivo())
            return Unknown("closed")

        house.plivo.findings = [replaced]
        await house.reconcile._questions.round()
        assert (False, ["failed"]) == (house.desk.brake.is_on, house.counts.results)
        assert [(1, SILENT, 60.0, 0)] == house.planned()


@pytest.mark.expect_log("reconcile_failed")
async def test_faults_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong in this program with one part is logged, and all of them go on."""
    async with asking(tmp_path, after_s=0.8) as house:
        entry = await house.lost()
        house.place.clock.pass_(AFTER_S)
        house.plivo.listings = [ZeroDivisionError("a fault")]
        house.plivo.know(1, "queued", START_US)
        faults = [1, 2]  # a job that fails is run once more, alone

        def watch(*arguments: Any) -> bool:
            if faults:
                raise ZeroDivisionError(faults.pop())
            return was(*arguments)

        was = watching.watch
        monkeypatch.setattr(watching, "watch", watch)
        async with house.running():
            await house.plivo.heard(pages=2)
            while "queued" != await house.status(entry.id):
                await house.place.writer.changed()
            house.place.clock.pass_(AFTER_S)
            await house.plivo.heard(questions=1)


@pytest.mark.expect_log("batch_failed")
async def test_the_store_takes_nothing_for_a_while(tmp_path: Path, logbook: Logbook) -> None:
    """While the store takes nothing every part tries on, and leaves it to the writer to say so."""
    async with asking(tmp_path, connect=FaultyConnection, after_s=0.8) as house:
        entry = await house.sent(1)
        house.plivo.know(1, "delivered", START_US)
        house.place.clock.pass_(AFTER_S)
        async with house.running():
            house.place.connection.faults = ["without"] * 9
            while "delivered" != await house.status(entry.id):
                await house.place.writer.changed()
        assert [] == house.place.connection.faults
        assert [] == logbook.events("reconcile_failed")


async def test_nobody_knows_its_name(tmp_path: Path) -> None:
    """Who is to be asked about, and whose name at Plivo nobody knows, is passed over."""
    async with asking(tmp_path) as house:
        entry = await house.claimed()
        house.reconcile.doubt(entry.id)
        while not house.planned():
            await house.place.writer.changed()
        await house.ask_all()
        assert [] == house.plivo.asked
        assert [(entry.row, SILENT, 2 * AFTER_S, 1)] == house.planned()


@pytest.mark.expect_log("reconcile_paused")
async def test_gone_by_the_time_of_a_failure(tmp_path: Path) -> None:
    """Of a message that was deleted while Plivo did not answer nothing is told."""
    async with asking(tmp_path) as house:
        await house.sent(1)
        house.place.clock.pass_(AFTER_S)
        await house.take_down()

        async def deleted(_message_uuid: str) -> Finding:
            await house.do(pruning.delete_messages, house.place.clock() + 1)
            return Unknown("HTTP 500", 500)

        house.plivo.findings = [deleted]
        await house.reconcile._questions.round()
        assert ([], []) == (house.counts.results, house.planned())
