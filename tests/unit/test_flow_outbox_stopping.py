"""Start and stop: what the last process left, and what this one leaves."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from plivostatusd.flows.outbox import outbox as door
from plivostatusd.plivo.outcome import AccountRefused
from plivostatusd.store import database
from tests.unit.scripted_plivo import Lost, ScriptedPlivo, passes, sending
from tests.unit.store_place import uuid


async def leave_claimed(folder: Path) -> str:
    """End a daemon, as by kill -9, while Plivo is being called; return the message's id."""
    async with sending(folder) as house:
        lost = Lost()
        house.plivo.answers = [lost]
        message_id = await house.record()
        await house.plivo.heard(1)
        await house.outbox._stories.cut()
        assert ["claimed"] == house.entries()
    return message_id


async def test_stopping_waits_for_calls(tmp_path: Path) -> None:
    """A call on its way is answered and settled before the stop ends; nothing new begins."""
    async with sending(tmp_path) as house:
        lost = Lost()
        house.plivo.answers = [lost]
        first = await house.record()
        await house.plivo.heard(1)
        stopping = asyncio.ensure_future(house.outbox.stop(within_s=20))
        second = await house.record()
        await asyncio.sleep(0)
        assert not stopping.done()
        lost.arrive(house.plivo.accepted())
        await stopping
        assert ("queued", "pending") == (await house.status(first), await house.status(second))
        assert 1 == len(house.plivo.calls)


async def test_stopping_is_bounded(tmp_path: Path) -> None:
    """A call that takes too long is cut at the end, and what is known of it written down."""
    async with sending(tmp_path) as house:
        lost = Lost()
        house.plivo.answers = [lost]
        message_id = await house.record()
        await house.plivo.heard(1)
        await house.outbox.stop(within_s=0.01)
        assert ["claimed"] == house.entries()

        house.plivo.cut = lost  # as the real door cuts its calls
        await house.outbox.close()
        assert "unknown" == await house.status(message_id)


async def test_whoever_waits_hears_of_the_stop(tmp_path: Path) -> None:
    """Nobody waits for an answer that a stopping outbox will not get."""
    async with sending(tmp_path, starts=False) as house:
        message_id = await house.record()
        waiting = asyncio.ensure_future(house.outbox._answers.wait([message_id], within_s=60))
        await asyncio.sleep(0)
        await house.outbox.stop(within_s=1)
        await waiting


async def test_stopped_during_a_claim(tmp_path: Path) -> None:
    """What was being claimed at the stop is given back, as if nobody had."""
    async with sending(tmp_path, starts=False) as house:
        await house.record()
        await house.outbox.start()
        await passes(lambda: house.place.writer._running)
        await house.outbox.stop(within_s=5)
        assert [("pending", 0, None)] == house.place.rows(
            "SELECT state, attempts, first_tried_at FROM outbox"
        )
        assert [] == house.plivo.calls


@pytest.mark.expect_log("claim_kept")
async def test_a_store_that_is_gone_at_the_stop(tmp_path: Path) -> None:
    """A claim that cannot be given back any more is said so."""
    async with sending(tmp_path, starts=False) as house:
        await house.record()
        dispatch = house.outbox._dispatch
        claiming = dispatch._submit(dispatch._now_us(), dispatch._steady_us())
        await claiming
        await house.place.writer.close()
        await dispatch._give_back(claiming)
        assert ["claimed"] == house.entries()


@pytest.mark.expect_log("batch_failed")
async def test_a_claim_that_fails_at_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a claim that the store did not take, nothing is kept, and nothing is said."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.01)
    async with sending(tmp_path, starts=False) as house:
        await house.record()
        await house.outbox.start()
        with closing(sqlite3.connect(house.place.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await passes(lambda: house.place.writer._running)
            await house.outbox.stop(within_s=5)
        assert ["pending"] == house.entries()


@pytest.mark.expect_log("sends_unsettled")
@pytest.mark.expect_log("batch_failed")
async def test_a_store_that_fails_to_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that takes no outcome does not keep the daemon from ending."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.01)
    monkeypatch.setattr(door, "SETTLE_S_MAX", 0.1)
    async with sending(tmp_path) as house:
        lost = Lost()
        house.plivo.answers = [lost]
        await house.record()
        await house.plivo.heard(1)
        with closing(sqlite3.connect(house.place.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            lost.arrive(house.plivo.accepted())
            await house.outbox.stop(within_s=0.05)
            await house.outbox.close()
        assert frozenset() == house.outbox._stories.running
        assert ["claimed"] == house.entries()


@pytest.mark.expect_log("outbox_paused")
async def test_refused_after_the_stop(tmp_path: Path) -> None:
    """A refusal of the account that comes after the stop leaves no questioner behind."""
    async with sending(tmp_path) as house:
        lost = Lost()
        house.plivo.answers = [lost]
        await house.record()
        await house.plivo.heard(1)
        stopping = asyncio.ensure_future(house.outbox.stop(within_s=20))
        await passes(lambda: house.outbox._probing._is_ended)
        lost.arrive(AccountRefused(402, "no credit"))
        await stopping
        assert house.outbox._probing._task is None
        assert ["pending"] == house.entries()


@pytest.mark.expect_log("outbox_paused")
async def test_stopped_during_a_pause(tmp_path: Path) -> None:
    """A stop ends the questioner; the pause does not outlive the process."""
    async with sending(tmp_path, AccountRefused(401, "no"), probe_every_s=60.0) as house:
        message_id = await house.send()
    async with sending(tmp_path) as house:
        assert house.outbox.paused is None
        await house.plivo.heard(1)
        await house.settled()
        assert "queued" == await house.status(message_id)


async def test_never_started(tmp_path: Path) -> None:
    """An outbox that never started can be stopped."""
    async with sending(tmp_path, starts=False) as house:
        assert "the store has not been read yet" == house.outbox.why_waiting


@pytest.mark.expect_log("send_unknown.*found claimed at start")
async def test_found_claimed_at_the_start(tmp_path: Path) -> None:
    """What was being called when the last process ended is unknown, and never called again."""
    message_id = await leave_claimed(tmp_path)
    async with sending(tmp_path) as house:
        await house.send()
        assert "unknown" == await house.status(message_id)
        assert ["unknown"] == house.entries()
        assert 1 == len(house.plivo.calls)
        ref = (await house.message(message_id))["ref"]
        await house.place.record(message_uuid=uuid(9), status="delivered", ref=ref)
        assert ("delivered", []) == (await house.status(message_id), house.entries())


@pytest.mark.expect_log("send_expired.*older than send.retry_for")
async def test_too_old_at_the_start(tmp_path: Path) -> None:
    """What waited longer than `retry_for` is refused at the start; what did not is sent."""
    async with sending(tmp_path, starts=False) as house:
        old = await house.record()
        house.place.clock.pass_(10)
        young = await house.record()
    async with sending(tmp_path, after_s=3605.0, retry_for_s=3600.0) as house:
        await house.plivo.heard(1)
        await house.settled()
        message = await house.message(old)
        assert ("refused", "older than send.retry_for when the daemon started") == (
            message["current_status"],
            message["reason"],
        )
        assert "queued" == await house.status(young)
        assert 1 == len(house.plivo.calls)


async def test_what_was_postponed_goes_on(tmp_path: Path) -> None:
    """What was waiting for its next attempt is called when it is due, by the next process too."""
    async with sending(tmp_path, starts=False) as house:
        message_id = await house.record()
        await house.place.writer.submit(
            lambda tx: tx.execute("UPDATE outbox SET due_at = due_at + 50000")
        )
    async with sending(tmp_path) as house:
        await passes(lambda: not house.outbox._dispatch._due.is_set())
        await house.place.writer.submit(lambda _: None)
        assert [] == house.plivo.calls
        house.place.clock.pass_(1)
        await house.plivo.heard(1)
        await house.settled()
        assert "queued" == await house.status(message_id)


async def test_both_doors_are_closed(tmp_path: Path) -> None:
    """Closing closes the API that is in use; the one before it was closed when it was replaced."""
    async with sending(tmp_path) as house:
        renewed = ScriptedPlivo()
        house.outbox.replace_api(renewed)
        await house.settled()
    assert (True, True) == (house.plivo.is_closed, renewed.is_closed)
