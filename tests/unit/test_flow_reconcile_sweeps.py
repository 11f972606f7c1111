"""Sweeps: many silent messages told by Plivo's list at once, as after a time of lost callbacks."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plivostatusd.domain.asking import RECORD_KEPT_US
from plivostatusd.domain.errors import StoreUnavailable
from plivostatusd.flows.reconcile import sweeps
from plivostatusd.plivo.outcome import AccountRefused, Listed, Unknown
from plivostatusd.store import entries, pulse
from tests.logbook import Logbook
from tests.unit.asked_plivo import AFTER_S, Asking, asking
from tests.unit.faulty_connection import FaultyConnection
from tests.unit.store_place import SECOND_US, START_US, submission, uuid

MANY = 30


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a sweep be worth it for fewer messages, for they take time to make."""
    monkeypatch.setattr(sweeps, "MANY", MANY)


async def silent(
    house: Asking, count: int, *, known: int | None = None, apart_s: float = 0.1
) -> list[int]:
    """Have messages be silent of which Plivo knows the outcome of the first *known*; their rows."""
    rows = []
    for number in range(count):
        await house.place.record(message_uuid=uuid(number), status="queued")
        if number < (count if known is None else known):
            house.plivo.know(number, "delivered", house.place.clock())
        house.place.clock.pass_(apart_s)
        rows.append(number + 1)
    house.place.clock.pass_(AFTER_S)
    await house.take_down()
    return rows


async def sweep(house: Asking) -> bool:
    """Go through one stretch of the list."""
    return await house.reconcile._sweeps.round()


def is_reading(house: Asking) -> bool:
    """Say whether a sweep is under way."""
    return house.reconcile._sweeps.is_reading


def statuses(house: Asking) -> list[str]:
    """Give every message's status, in the order in which they were made."""
    return house.place.rows("SELECT current_status FROM messages ORDER BY row")


def due_now(house: Asking) -> list[int]:
    """Give the messages that may be asked about now."""
    return [row for row, _, in_s, _ in house.planned() if in_s <= 0]


async def test_many_are_told_by_the_list(tmp_path: Path, logbook: Logbook) -> None:
    """Of many silent messages the list is read, page by page, and none is asked about singly."""
    async with asking(tmp_path) as house:
        await silent(house, 45)
        assert await sweep(house)
        assert ["delivered"] * 45 == statuses(house)
        assert (3, []) == (len(house.plivo.queries), house.plivo.asked)
        assert [] == house.planned()
        assert ["changed"] * 45 == house.counts.results
        (query, *_) = house.plivo.queries
        assert (START_US - sweeps.EARLIER_US, START_US + 4_400_000 + sweeps.LATER_US) == (
            query.since_us,
            query.until_us,
        )
        (line,) = logbook.events("list_left")
        assert (3, 45, 0) == (line["pages"], line["found"], line["left"])
        assert not await sweep(house)


async def test_few_are_asked_about_singly(tmp_path: Path) -> None:
    """For fewer a list is not worth it."""
    async with asking(tmp_path) as house:
        await silent(house, MANY - 1)
        assert not await sweep(house)
        assert [] == house.plivo.queries
        assert MANY - 1 == len(due_now(house))


async def test_what_is_left_over_is_asked_singly(tmp_path: Path) -> None:
    """What the list does not tell of is given back to single questions, and not swept again."""
    async with asking(tmp_path) as house:
        await silent(house, 2 * MANY, known=MANY - 5)
        bell = house.desk.bell()
        assert await sweep(house)
        assert MANY + 5 == len(due_now(house))
        assert bell.is_set()
        for _ in range(3):
            assert not await sweep(house)
        pages = len(house.plivo.queries)
        await house.ask_all()
        assert [uuid(number) for number in range(MANY - 5, 2 * MANY)] == house.plivo.asked
        house.place.clock.pass_(2 * AFTER_S)
        assert await sweep(house)
        assert pages < len(house.plivo.queries)


async def test_a_poor_yield_ends_the_sweep(tmp_path: Path) -> None:
    """Among too many messages that are not ours, single questions are quicker."""
    async with asking(tmp_path) as house:
        await silent(house, MANY)
        for number in range(1_000, 1_000 + 20 * 20):
            house.plivo.know(number, "delivered", START_US + 10 * SECOND_US)
        assert await sweep(house)
        assert sweeps.PAGES_TO_JUDGE == len(house.plivo.queries)
        assert MANY == len(due_now(house))


async def test_it_ends_when_all_are_found(tmp_path: Path) -> None:
    """The list is not read on when nothing is left to be found in it."""
    async with asking(tmp_path) as house:
        await silent(house, MANY)
        for number in range(1_000, 1_000 + 20 * 20):
            house.plivo.know(number, "delivered", START_US - 60 * SECOND_US)
        assert await sweep(house)
        assert 2 == len(house.plivo.queries)


async def test_while_it_reads_nobody_else_asks(tmp_path: Path) -> None:
    """What a sweep goes through is not asked about singly meanwhile; contradictions are."""
    async with asking(tmp_path) as house:
        await silent(house, MANY)
        reading, gone_on = asyncio.Event(), asyncio.Event()

        async def read(query: Any) -> Listed:
            reading.set()
            await gone_on.wait()
            return house.plivo.page(query)

        house.plivo.listings = [read]
        going_through = asyncio.ensure_future(sweep(house))
        await reading.wait()
        assert is_reading(house)
        assert [] == due_now(house)
        for status in ("delivered", "failed"):
            await house.place.record(message_uuid=uuid(3), status=status)
        await house.ask_all()
        assert [uuid(3)] == house.plivo.asked
        gone_on.set()
        assert await going_through
        assert not is_reading(house)
        assert ["delivered"] * MANY == statuses(house)


async def test_stopped_in_the_middle(tmp_path: Path) -> None:
    """What is stopped in the middle of a sweep is given back."""
    async with asking(tmp_path) as house:
        rows = await silent(house, MANY)
        reading = asyncio.Event()

        async def hang(query: Any) -> Listed:
            reading.set()
            await asyncio.Event().wait()
            return house.plivo.page(query)

        house.plivo.listings = [hang]
        going_through = asyncio.ensure_future(sweep(house))
        await reading.wait()
        going_through.cancel()
        await asyncio.wait([going_through])
        assert rows == due_now(house)


async def test_unreadable_rows(tmp_path: Path) -> None:
    """A page with rows that cannot be read is used as far as it goes; the rest is asked singly."""
    async with asking(tmp_path) as house:
        await silent(house, 2 * MANY)

        async def spoilt(query: Any) -> Listed:
            return replace(house.plivo.page(query), unreadable=1)

        house.plivo.listings = [spoilt]
        assert await sweep(house)
        assert 1 == len(house.plivo.queries)
        assert 2 * MANY - 20 == len(due_now(house))
        assert not await sweep(house)


@pytest.mark.expect_log("reconcile_paused")
@pytest.mark.parametrize("failure", [Unknown("HTTP 502", 502), AccountRefused(401, "no")])
async def test_a_list_that_breaks_off(tmp_path: Path, failure: Any) -> None:
    """What was read is kept, the rest is given back, and swept once Plivo answers again."""
    async with asking(tmp_path) as house:
        await silent(house, 2 * MANY)

        async def good(query: Any) -> Listed:
            return house.plivo.page(query)

        house.plivo.listings = [good, failure]
        assert await sweep(house)
        assert 2 * MANY - 20 == len(due_now(house))
        assert [] == house.plivo.asked
        await house.desk.brake.released()
        assert await sweep(house)
        assert ["delivered"] * 2 * MANY == statuses(house)


@pytest.mark.expect_log("reconcile_paused")
async def test_a_walk_that_goes_on_after_a_failure(tmp_path: Path) -> None:
    """What the first walk has told of does not make the next one seem not worth it."""
    async with asking(tmp_path) as house:
        await silent(house, 600)

        async def good(query: Any) -> Listed:
            return house.plivo.page(query)

        house.plivo.listings = [*[good] * 15, Unknown("HTTP 502", 502)]
        assert await sweep(house)
        assert 300 == len(due_now(house))
        await house.desk.brake.released()
        assert await sweep(house)
        assert ["delivered"] * 600 == statuses(house)
        assert [] == house.plivo.asked


async def test_sent_late(tmp_path: Path) -> None:
    """Messages that waited long in the outbox are looked for at the time when Plivo took them."""
    async with asking(tmp_path) as house:
        await house.place.accept(submission(to=[f"+141555{each:05}" for each in range(MANY)]))
        house.place.clock.pass_(7_200)
        for number in range(MANY):
            now_us = house.place.clock()
            entry = await house.do(entries.claim, now_us, now_us)
            await house.do(entries.settle_accepted, entry.row, uuid(number), now_us)
            house.plivo.know(number, "delivered", now_us)
            house.place.clock.pass_(0.2)
        house.place.clock.pass_(AFTER_S)
        await house.take_down()
        assert await sweep(house)
        assert ["delivered"] * MANY == statuses(house)


async def test_older_than_plivos_records(tmp_path: Path) -> None:
    """Plivo is not asked for a time of which it keeps no records."""
    async with asking(tmp_path, silence_final_s=10_000_000.0) as house:
        for number in range(MANY):
            await house.place.record(message_uuid=uuid(number), status="sent")
        house.place.clock.pass_(95 * 86_400)
        await house.take_down()
        assert await sweep(house)
        (query,) = house.plivo.queries
        assert house.place.clock() - RECORD_KEPT_US < query.since_us < query.until_us
        assert MANY == len(due_now(house))


async def test_more_than_one_stretch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than can be held at once are gone through in stretches, the longest silent first."""
    monkeypatch.setattr(sweeps, "ROWS_MAX", 40)
    async with asking(tmp_path) as house:
        await silent(house, 100, apart_s=30)
        assert await sweep(house)
        assert ["delivered"] * 40 + ["queued"] * 60 == statuses(house)
        assert await sweep(house)
        assert not await sweep(house)
        assert ["delivered"] * 80 + ["queued"] * 20 == statuses(house)


async def test_more_left_over_than_a_stretch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a whole stretch is left to single questions, a gap stays open until they are through."""
    monkeypatch.setattr(sweeps, "ROWS_MAX", 40)
    async with asking(tmp_path) as house:
        await silent(house, 60, known=0)
        house.plivo.know(59, "delivered", house.place.clock() - int(AFTER_S * SECOND_US))
        await house.do(pulse.open_gap, START_US, house.place.clock())
        await house.reconcile.begin()
        assert await sweep(house)
        assert not await sweep(house)
        assert await house.do(pulse.gap) is not None
        await house.ask_all()
        await sweep(house)
        assert await house.do(pulse.gap) is None


async def gap(house: Asking, count: int = 5, **options: Any) -> None:
    """Have callbacks be lost in a gap, as the daemon finds it at its start."""
    await silent(house, count, **options)
    house.place.clock.pass_(3_600)
    await house.do(pulse.open_gap, START_US + SECOND_US, house.place.clock())
    await house.reconcile.begin()


async def test_a_gap_is_filled(tmp_path: Path, logbook: Logbook) -> None:
    """After a gap even few messages are told by the list; then it is closed, and that is said."""
    async with asking(tmp_path) as house:
        await gap(house)
        assert 4_200 == logbook.events("gap_found")[0]["seconds"]
        assert await sweep(house)
        assert (["delivered"] * 5, 1) == (statuses(house), len(house.plivo.queries))
        assert await house.do(pulse.gap) is None
        assert 1 == len(logbook.events("gap_filled"))
        assert not await sweep(house)
        assert 1 == len(house.plivo.queries)


async def test_a_gap_without_a_trace(tmp_path: Path, logbook: Logbook) -> None:
    """A gap in which nothing was open is closed without a question."""
    async with asking(tmp_path) as house:
        await gap(house, count=0)
        assert not await sweep(house)
        assert await house.do(pulse.gap) is None
        assert (1, []) == (len(logbook.events("gap_filled")), house.plivo.queries)


async def test_who_is_asked_about_after_a_gap(tmp_path: Path) -> None:
    """At once: what is open and was made up to a day before; the older ones in their own time."""
    async with asking(tmp_path) as house:
        await house.place.record(message_uuid=uuid(1), status="sent")
        house.place.clock.pass_(86_400)
        await house.place.record(message_uuid=uuid(2), status="sent")
        await house.place.record(message_uuid=uuid(3), status="delivered")
        house.place.clock.pass_(30)
        left_us = house.place.clock()
        house.place.clock.pass_(400)
        await house.do(pulse.open_gap, left_us, house.place.clock())
        await house.place.record(message_uuid=uuid(4), status="queued")
        await house.reconcile.begin()
        assert [1, 2, 4] == due_now(house)  # the first one has been due since long
        await house.do(lambda tx: tx.execute("UPDATE asks SET due_at = ?", (2**60,)))
        await house.reconcile.begin()
        assert [2, 4] == due_now(house)


@pytest.mark.expect_log("reconcile_paused")
async def test_a_gap_stays_open_while_plivo_does_not_answer(tmp_path: Path) -> None:
    """It is closed only once the list was read; over a restart it is taken up again."""
    async with asking(tmp_path) as house:
        await gap(house)
        for _ in range(3):
            house.plivo.listings = [Unknown("HTTP 500", 500)]
            assert await sweep(house)
            assert await house.do(pulse.gap) is not None
            await house.desk.brake.released()
        await house.reconcile.begin()
        assert await sweep(house)
        assert ["delivered"] * 5 == statuses(house)
        assert await house.do(pulse.gap) is None


async def test_a_gap_waits_while_nobody_may_ask(tmp_path: Path) -> None:
    """With `reconcile.after = 0` a gap is left open, for whoever asks on demand or later."""
    async with asking(tmp_path, after_s=0.0) as house:
        await gap(house)
        assert not await sweep(house)
        assert await house.do(pulse.gap) is not None
        assert [] == house.plivo.queries


@pytest.mark.expect_log("batch_failed")
async def test_the_store_takes_nothing(tmp_path: Path) -> None:
    """What was found and could not be written down is asked for again."""
    async with asking(tmp_path, connect=FaultyConnection, after_s=1.0) as house:
        await silent(house, MANY)

        async def read(query: Any) -> Listed:
            house.place.connection.faults = ["without"]
            return house.plivo.page(query)

        house.plivo.listings = [read]
        story = asyncio.ensure_future(house.reconcile._read_lists())
        while {"delivered"} != set(statuses(house)):
            await house.place.writer.changed()
        story.cancel()
        await asyncio.wait([story])
        assert 2 < len(house.plivo.queries)


@pytest.mark.expect_log("batch_failed")
async def test_the_store_does_not_take_back(tmp_path: Path) -> None:
    """What a walk had for itself is due again once the store takes that, not hours later."""
    async with asking(tmp_path, connect=FaultyConnection) as house:
        await silent(house, MANY)

        async def read(query: Any) -> Listed:
            house.place.connection.faults = ["without", "without"]
            return house.plivo.page(query)

        house.plivo.listings = [read]
        with pytest.raises(StoreUnavailable):
            await sweep(house)
        assert [] == due_now(house)
        assert await sweep(house)
        assert {"delivered"} == set(statuses(house))
