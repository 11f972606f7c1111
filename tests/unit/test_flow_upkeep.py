"""Retention as configured: round after round, and what a failing store does to one."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from plivostatusd.flows import upkeep
from plivostatusd.flows.upkeep import Retention, Upkeep
from plivostatusd.store import pruning, refusals
from plivostatusd.store.refusals import Refused
from tests.logbook import Logbook
from tests.unit.scripted_plivo import sending
from tests.unit.store_place import Place, opened, submission, uuid

DAY_S = 86_400.0


def keep(place: Place, *, text_s: float = 0.0, messages_s: float = 0.0, **keys: Any) -> Upkeep:
    """Make the flow."""
    trusted = frozenset(keys.get("keys", ("key-1",)))
    retention = Retention(text_s=text_s, messages_s=messages_s, keys=trusted)
    return Upkeep(place.writer, retention, now_us=place.clock)


async def test_texts_and_messages_go_in_their_time(tmp_path: Path) -> None:
    """First the text goes, later the message with all of its own; nonces stay while they must."""
    async with sending(tmp_path) as house:
        place = house.place
        message_id = await house.send(key="k")
        await place.record(message_uuid=uuid(1), status="delivered")
        await place.record(message_uuid=None, status="sent")
        flow = keep(place, text_s=30 * DAY_S, messages_s=400 * DAY_S)
        await flow.round()
        assert "hello" == (await house.message(message_id))["message_body"]
        place.clock.pass_(31 * DAY_S)
        await flow.round()
        assert (await house.message(message_id))["message_body"] is None
        assert [] == place.rows("SELECT * FROM idempotency")
        place.clock.pass_(400 * DAY_S)
        await flow.round()
        assert await place.reader.message(message_id) is None
        assert [] == place.rows("SELECT * FROM events")
        assert 2 == len(place.rows("SELECT * FROM nonces"))
        flow.retention = keep(place, messages_s=400 * DAY_S, keys=()).retention
        await flow.round()
        assert [] == place.rows("SELECT * FROM nonces")


async def test_refused_callbacks_go(tmp_path: Path) -> None:
    """A refused callback is kept for a week, and no longer than a text is."""
    async with opened(tmp_path) as place:
        for received_us in (place.clock(), place.clock() + int(3 * DAY_S) * 1_000_000):
            one = Refused(received_us=received_us, reason="x", message_uuid=uuid(1), raw=b"x")
            await place.writer.submit(partial(refusals.keep, refused=one))
        place.clock.pass_(4 * DAY_S)
        await keep(place).round()
        assert 2 == len(await place.reader.refused())
        await keep(place, text_s=2 * DAY_S).round()
        assert 1 == len(await place.reader.refused())
        place.clock.pass_(7 * DAY_S)
        await keep(place).round()
        assert [] == await place.reader.refused()


async def test_zero_keeps_everything(tmp_path: Path) -> None:
    """Where retention is 0 nothing is forgotten, however old."""
    async with sending(tmp_path) as house:
        message_id = await house.send()
        house.place.clock.pass_(10_000 * DAY_S)
        await keep(house.place, keys=()).round()
        assert "hello" == (await house.message(message_id))["message_body"]
        await house.place.record(message_uuid=uuid(1), status="delivered")


async def test_many_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A round goes on until nothing is left to forget, a small transaction at a time."""
    monkeypatch.setattr(pruning, "ROWS_PER_STEP", 2)
    async with opened(tmp_path) as place:
        for number in range(7):
            await place.record(message_uuid=uuid(number), key="retired")
        place.clock.pass_(DAY_S)
        before = place.writer.commits
        await keep(place, messages_s=60.0).round()
        assert before + 8 < place.writer.commits
        for table in ("messages", "events", "nonces"):
            assert [0] == place.rows(f"SELECT count(*) FROM {table}")  # noqa: S608 - ours


@pytest.mark.expect_log("upkeep_failed")
async def test_round_after_round(
    tmp_path: Path, logbook: Logbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that fails, and even a bug, only put a round off."""
    monkeypatch.setattr(upkeep, "EVERY_S", 0.0)
    async with opened(tmp_path) as place:
        await place.accept(submission(text="old"))
        await place.writer.submit(lambda tx: tx.execute("DELETE FROM outbox"))
        await place.writer.submit(lambda tx: tx.move("outbox.pending", None))
        place.clock.pass_(DAY_S)
        flow = keep(place)
        rounds: list[int] = []
        work = flow.round

        async def work_badly() -> None:
            rounds.append(len(rounds))
            if len(rounds) == 1:
                raise LookupError("a bug")
            await work()
            if len(rounds) == 3:
                await place.writer.close()

        flow.round = work_badly  # type: ignore[method-assign]  # it fails in our place
        running = asyncio.ensure_future(flow.run())
        while not logbook.events("upkeep_postponed"):  # noqa: ASYNC110 - a line has no event
            await asyncio.sleep(0)
        running.cancel()
        assert 4 <= len(rounds)
