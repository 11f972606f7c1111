"""When nothing may be sent: Plivo refuses the account, or an operator holds."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from plivostatusd.domain.errors import NotCancellable
from plivostatusd.plivo.outcome import AccountRefused, NotSent, Reachable, Unknown
from plivostatusd.store import database
from tests.logbook import Logbook
from tests.unit.scripted_plivo import Lost, ScriptedPlivo, Sending, passes, sending

NO_CREDIT = AccountRefused(402, "no credit")
UNAUTHORISED = AccountRefused(401, "who are you")
FORBIDDEN = AccountRefused(403, "forbidden")


@pytest.mark.expect_log("outbox_paused reason='Plivo refuses the account")
@pytest.mark.parametrize("refusal", [NO_CREDIT, UNAUTHORISED, FORBIDDEN])
async def test_pause_and_resume(tmp_path: Path, logbook: Logbook, refusal: AccountRefused) -> None:
    """What met the refusal stays pending, and goes out once a harmless question is answered."""
    async with sending(tmp_path, refusal) as house:
        house.plivo.probes = [refusal, refusal, NotSent("down"), Unknown("500"), Reachable()]
        message_id = await house.send()
        assert f"Plivo refuses the account ({refusal.http_status})" == house.outbox.paused
        assert "pending" == await house.status(message_id)
        await house.plivo.heard(2)
        await house.settled()
        assert 5 == house.plivo.probed
        assert house.outbox.why_waiting is None
        assert "queued" == await house.status(message_id)
        assert ["account_refused", "accepted"] == house.counts.outcomes
        assert 1 == len(logbook.events("outbox_resumed"))


@pytest.mark.expect_log("outbox_paused")
async def test_everybody_hears_of_the_pause(tmp_path: Path) -> None:
    """Whoever waits for an answer hears at once that none will come soon; nobody waits after."""
    async with sending(tmp_path, UNAUTHORISED, probe_every_s=60.0, per_second=50.0) as house:
        first, second = await asyncio.gather(house.send(), house.send())
        for message_id in (first, second):
            await house.outbox.answered([message_id], within_s=60)
            assert "pending" == await house.status(message_id)


@pytest.mark.expect_log("outbox_paused")
async def test_one_pause_at_a_time(tmp_path: Path, logbook: Logbook) -> None:
    """Several calls that meet the refusal make one pause, asked about by one questioner."""
    async with sending(tmp_path, probe_every_s=60.0) as house:
        answers = [Lost(), Lost()]
        house.plivo.answers = [*answers]
        for _ in answers:
            await house.record()
        await house.plivo.heard(2)
        for each in answers:
            each.arrive(NO_CREDIT)
        await house.settled()
        assert ["pending", "pending"] == house.entries()
        assert 1 == len(logbook.events("outbox_paused"))


@pytest.mark.expect_log("outbox_paused")
@pytest.mark.expect_log("probe_failed")
async def test_a_bug_while_asking(tmp_path: Path) -> None:
    """A bug while asking does not make the pause last for ever."""
    async with sending(tmp_path, NO_CREDIT) as house:
        house.plivo.probes = [LookupError("a bug")]
        await house.send()
        await house.plivo.heard(2)


@pytest.mark.expect_log("outbox_paused")
@pytest.mark.expect_log("send_expired.*retry_for passed")
async def test_a_pause_that_lasts(tmp_path: Path) -> None:
    """Once the pause has lasted as long as `retry_for`, what is older than that is refused."""
    async with sending(tmp_path, NO_CREDIT, retry_for_s=60.0) as house:
        house.plivo.probes = [NO_CREDIT] * 5
        old = await house.send()
        await house.plivo.heard(probes=2)
        assert "pending" == await house.status(old)
        house.place.clock.pass_(61)
        await house.plivo.heard(probes=6)
        message = await house.message(old)
        assert ("refused", "retry_for passed before Plivo could be reached") == (
            message["current_status"],
            message["reason"],
        )
        assert 1 == len(house.plivo.calls)


@pytest.mark.expect_log("outbox_paused")
@pytest.mark.expect_log("send_expired")
@pytest.mark.expect_log("batch_failed")
async def test_a_pause_over_a_locked_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is locked when something is to be refused is asked again in the next round."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.01)
    async with sending(tmp_path, NO_CREDIT, retry_for_s=60.0) as house:
        house.plivo.probes = [NO_CREDIT] * 9
        old = await house.send()
        await house.settled()
        house.place.clock.pass_(61)
        with closing(sqlite3.connect(house.place.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await house.plivo.heard(probes=house.plivo.probed + 3)
            assert house.place.writer.failing
        await house.plivo.heard(probes=10)
        assert "refused" == await house.status(old)


@pytest.mark.expect_log("outbox_paused")
async def test_new_credentials_end_a_pause(tmp_path: Path) -> None:
    """With another API the question is asked at once, and what waits goes out by it."""
    async with sending(tmp_path, UNAUTHORISED, probe_every_s=60.0) as house:
        message_id = await house.send()
        renewed = ScriptedPlivo()
        house.outbox.replace_api(renewed)
        await renewed.heard(1)
        await house.settled()
        assert "queued" == await house.status(message_id)
        assert house.plivo.is_closed
        house.plivo = renewed


async def test_new_credentials_during_a_call(tmp_path: Path) -> None:
    """A call on its way ends by the old API, which is closed after it; its 401 pauses nothing."""
    async with sending(tmp_path) as house:
        lost = Lost()
        house.plivo.answers = [lost]
        message_id = await house.record()
        await house.plivo.heard(1)
        renewed = ScriptedPlivo()
        house.outbox.replace_api(renewed)
        assert not house.plivo.is_closed
        lost.arrive(UNAUTHORISED)
        await house.outbox.answered([message_id], within_s=20)
        await house.settled()
        assert ("queued", None) == (await house.status(message_id), house.outbox.paused)
        assert (1, 1) == (len(house.plivo.calls), len(renewed.calls))
        assert house.plivo.is_closed


async def test_hold_and_release(tmp_path: Path, logbook: Logbook) -> None:
    """While an operator holds, sends are recorded and not waited for; released, they go out."""
    async with sending(tmp_path) as house:
        await house.outbox.hold(held=True, by="root")
        assert (True, "held by an operator") == (house.outbox.held, house.outbox.why_waiting)
        message_id = await house.send()
        assert ("pending", []) == (await house.status(message_id), house.plivo.calls)
        await house.outbox.hold(held=False, by="root")
        await house.plivo.heard(1)
        assert "root" == logbook.events("outbox_released")[0]["by"]


async def test_held_while_waiting(tmp_path: Path) -> None:
    """Whoever waits for an answer when the operator holds is not left waiting."""
    async with sending(tmp_path, per_second=0.01) as house:
        await house.send()
        waiting = asyncio.ensure_future(house.send())
        await passes(house.entries)
        await house.outbox.hold(held=True, by="root")
        assert "pending" == await house.status(await waiting)


@pytest.mark.expect_log("outbox_held")
async def test_a_hold_outlives_a_restart(tmp_path: Path) -> None:
    """A held outbox is still held after a restart, and says so; cancelling works meanwhile."""
    async with sending(tmp_path) as house:
        await house.outbox.hold(held=True, by="root")
        first, second = await house.record(), await house.record()
    async with sending(tmp_path) as house:
        assert house.outbox.held
        assert [] == house.plivo.calls
        assert await house.outbox.cancel(first, by="root")
        with pytest.raises(NotCancellable):
            await house.outbox.cancel(first, by="root")
        await house.outbox.hold(held=False, by="root")
        await house.plivo.heard(1)
        await house.settled()
        assert ("refused", "queued") == (await house.status(first), await house.status(second))


async def test_held_during_a_claim(tmp_path: Path) -> None:
    """A claim that was under way when the operator held is given back: nothing goes out after."""
    async with sending(tmp_path) as house:
        await house.outbox.hold(held=True, by="root")
        message_id = await house.record()
        await _hold_behind_a_claim(house)
        assert [] == house.plivo.calls
        assert [("pending", 0, None)] == house.place.rows(
            "SELECT state, attempts, first_tried_at FROM outbox"
        )
        await house.outbox.hold(held=False, by="root")
        await house.plivo.heard(1)
        await house.settled()
        assert "queued" == await house.status(message_id)


async def _hold_behind_a_claim(house: Sending) -> None:
    """Release, and hold again before the claim that follows is committed."""
    gate = house.outbox._gate
    gate.hold(None)
    await passes(lambda: house.place.writer._running)
    gate.hold("once more")
    await house.place.writer.submit(lambda _: None)
    await house.place.writer.submit(lambda _: None)
    await house.settled()
