"""Taking sends: what comes back is committed, what is refused is never sent."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from plivostatusd.domain.errors import (
    KeyInFlight,
    KeyReused,
    LimitReached,
    OutboxPaused,
    StoreUnavailable,
)
from plivostatusd.flows.courtesy import Courtesy
from plivostatusd.flows.outbox.intake import SLICE, Intake
from plivostatusd.plivo.outcome import AccountRefused, Refused
from plivostatusd.store import rolls
from plivostatusd.store.writer import Writer
from tests.unit.faulty_connection import FaultyConnection
from tests.unit.scripted_plivo import Lost, passes, request, sending, terms


async def test_committed_before_the_call(tmp_path: Path) -> None:
    """Both the intent and the claim are on disk when Plivo is called."""
    async with sending(tmp_path) as house:
        seen = []

        async def look(_: object) -> object:
            seen.append(house.place.rows("SELECT current_status, state FROM messages, outbox"))
            return house.plivo.accepted()

        house.plivo.answers = [look]  # type: ignore[list-item]  # it answers as one does
        assert "queued" == await house.status(await house.send())
        assert [[("pending", "claimed")]] == seen


async def test_a_list(tmp_path: Path) -> None:
    """Each recipient of a list has a message of its own, and waits for its own answer."""
    async with sending(tmp_path) as house:
        people = [f"+1415555{number:04}" for number in range(5)]
        given = request(to=people)
        accepted = await house.outbox.accept(given, sent_by="cron", key=None)
        await house.outbox.answered(accepted.ids, within_s=20)
        assert accepted.is_list
        assert people == [f"+{call.dst}" for call in house.plivo.calls]
        assert {"queued"} == {await house.status(each) for each in accepted.ids}


async def test_no_longer_than_asked(tmp_path: Path) -> None:
    """Whoever waits for an answer waits so long at most, and not at all for what is not awaited."""
    async with sending(tmp_path, starts=False) as house:
        message_id = await house.record()
        await house.outbox._answers.wait([message_id], within_s=0.01)
        await house.outbox._answers.wait(["nobody"], within_s=20)
        assert {} == house.outbox._answers._events
        assert "pending" == await house.status(message_id)


async def test_a_key_that_was_here_before(tmp_path: Path) -> None:
    """The same key and body give the same message, which is sent once; another body is refused."""
    async with sending(tmp_path) as house:
        first = await house.send(key="k")
        assert first == await house.send(key="k")
        with pytest.raises(KeyReused):
            await house.send(key="k", text="another")
        assert 1 == len(house.plivo.calls)


async def test_a_key_whose_message_was_refused(tmp_path: Path) -> None:
    """A repeat of what Plivo refused leads to the refused message; Plivo is not asked again."""
    async with sending(tmp_path, Refused(400, "bad")) as house:
        first = await house.send(key="k")
        assert (first, "refused") == (await house.send(key="k"), await house.status(first))
        assert 1 == len(house.plivo.calls)


async def test_a_key_in_flight(tmp_path: Path) -> None:
    """While the first send with a key is being committed, the second one is told so."""
    async with sending(tmp_path) as house:
        first = asyncio.ensure_future(house.send(key="k"))
        await asyncio.sleep(0)
        with pytest.raises(KeyInFlight):
            await house.send(key="k")
        other = asyncio.ensure_future(house.outbox.accept(request(), sent_by="shop", key="k"))
        message_id = await first
        assert message_id == await house.send(key="k")
        assert (message_id,) != (await other).ids


@pytest.mark.expect_log("outbox_paused")
async def test_while_paused(tmp_path: Path) -> None:
    """During a pause new sends get the reason and nothing is recorded; a known key is answered."""
    async with sending(tmp_path, probe_every_s=60.0) as house:
        known = await house.send(key="k")
        house.plivo.answers = [AccountRefused(402, "no credit")]
        waiting = await house.send()
        assert "Plivo refuses the account (402)" == house.outbox.paused == house.outbox.why_waiting
        assert "pending" == await house.status(waiting)
        assert known == await house.send(key="k")
        with pytest.raises(KeyReused):
            await house.send(key="k", text="another")
        for key in (None, "new"):
            with pytest.raises(OutboxPaused) as caught:
                await house.send(key=key)
            assert (60, "Plivo refuses the account (402)") == (
                caught.value.retry_after_s,
                caught.value.detail,
            )
        assert [2] == house.place.rows("SELECT count(*) FROM messages")


async def test_limits(tmp_path: Path) -> None:
    """Past a limit nothing is recorded; new terms hold for the next send."""
    async with sending(tmp_path, starts=False, queue_max=1) as house:
        await house.record()
        with pytest.raises(LimitReached):
            await house.record()
        house.outbox.change(terms(queue_max=2, per_day=3, per_second=7.0))
        assert 7.0 == house.outbox._pace.per_second
        await house.record()
        house.outbox.change(terms(per_day=2))
        with pytest.raises(LimitReached):
            await house.record()
        assert 2 == house.outbox.terms.per_day
        assert [2] == house.place.rows("SELECT count(*) FROM messages")


async def test_a_caller_that_goes_away(tmp_path: Path) -> None:
    """A send whose client vanishes during the commit is sent once; its key leads to it."""
    async with sending(tmp_path) as house:
        gone = asyncio.ensure_future(house.send(key="k"))
        await asyncio.sleep(0)
        gone.cancel()
        await house.plivo.heard(1)
        await house.settled()
        assert "queued" == await house.status(await house.send(key="k"))
        assert 1 == len(house.plivo.calls)
        assert {} == house.outbox._answers._events


@pytest.mark.expect_log("batch_failed")
async def test_a_store_that_is_locked(tmp_path: Path) -> None:
    """A send that cannot be committed is refused, and is not made when the store is free again."""
    async with sending(tmp_path) as house:
        with closing(sqlite3.connect(house.place.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable):
                await house.send(key="k")
        await house.send(key="k", text="another")
        assert ["another"] == [call.text for call in house.plivo.calls]


@pytest.mark.expect_log("batch_failed")
async def test_a_commit_that_reports_an_error(tmp_path: Path) -> None:
    """A send that was refused because its COMMIT reported an error is void before any claim."""
    async with sending(tmp_path, connect=FaultyConnection) as house:
        await house.place.writer.submit(lambda _: None)  # behind the first look for what is due
        house.place.connection.faults = ["with"]
        with pytest.raises(StoreUnavailable):
            await house.record(key="k")
        await house.place.writer.submit(lambda _: None)
        again = await house.send(key="k")
        assert [again] == house.place.rows("SELECT id FROM messages")
        assert 1 == len(house.plivo.calls)


async def test_cancelled_by_hand(tmp_path: Path) -> None:
    """What is pending can be cancelled; who waits for it hears at once, and Plivo nothing."""
    async with sending(tmp_path, starts=False) as house:
        message_id = await house.record()
        waiting = asyncio.ensure_future(house.outbox._answers.wait([message_id], within_s=20))
        await asyncio.sleep(0)
        assert await house.outbox.cancel(message_id, by="root")
        await waiting
        assert "refused" == await house.status(message_id)
        assert not await house.outbox.cancel("nobody", by="root")
        assert [] == house.plivo.calls


async def test_answered_elsewhere(tmp_path: Path) -> None:
    """An answer to a message that nobody waits for disturbs nothing."""
    async with sending(tmp_path) as house:
        lost = Lost()
        house.plivo.answers = [lost]
        message_id = await house.record()
        await house.plivo.heard(1)
        house.outbox._answers.forget([message_id])
        lost.arrive(house.plivo.accepted())
        await house.settled()
        assert "queued" == await house.status(message_id)


MANY = [f"+1415555{number:04}" for number in range(2 * rolls.STEP + 1)]


class Rush(Courtesy):
    """Callbacks come all the time; who gives way asks how many messages are left of rolls."""

    def __init__(self, writer: Writer) -> None:
        super().__init__(lambda: 0)
        self.left: list[int] = []
        self._writer = writer

    async def give_way(self) -> None:
        """Ask, instead of resting."""
        self.left.append(await self._writer.submit(rolls.left))

    @property
    def are_coming(self) -> bool:
        """Say that they do."""
        return True


async def test_a_long_list_is_all_there(tmp_path: Path) -> None:
    """A long list's acceptance comes back when all of its messages can be read, in their order."""
    async with sending(tmp_path, starts=False, queue_max=1_000) as house:
        given = request(to=MANY)
        accepted = await house.outbox.accept(given, sent_by="cron", key="k", is_awaited=False)
        assert [*accepted.ids] == house.place.rows("SELECT id FROM messages ORDER BY row")
        assert MANY == house.place.rows("SELECT recipient_number FROM messages ORDER BY row")
        assert 2 == house.place.writer.commits  # no callback comes: one step for all
        again = await house.outbox.accept(given, sent_by="cron", key="k", is_awaited=False)
        assert (accepted.ids, True) == (again.ids, again.repeated)


async def test_a_long_list_gives_way(tmp_path: Path) -> None:
    """While callbacks come a long list takes small steps, and gives way after each."""
    async with sending(tmp_path, starts=False, queue_max=1_000) as house:
        rush = house.outbox._intake._courtesy = Rush(house.place.writer)
        named = request(to=[f"+1415556{number:04}" for number in range(2 * SLICE + 1)])
        await house.outbox._intake._named(named.drafts, 1)
        assert [0, 0] == rush.left
        await house.outbox.accept(request(to=MANY), sent_by="cron", key=None)
        assert [rolls.STEP + 1, 1, 0] == rush.left[2:]


async def test_a_long_list_whose_caller_goes_away(tmp_path: Path) -> None:
    """A list whose client vanishes during its commit is written out whole."""
    async with sending(tmp_path, starts=False, queue_max=1_000) as house:
        given = request(to=MANY)
        gone = asyncio.ensure_future(house.outbox.accept(given, sent_by="cron", key=None))
        await passes(lambda: house.place.writer.waiting)
        gone.cancel()
        await passes(lambda: house.place.rows("SELECT count(*) FROM messages") == [len(MANY)])
        assert gone.cancelled()


@pytest.mark.expect_log("batch_failed")
async def test_a_long_list_and_a_commit_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list whose own COMMIT reports an error is void; one that a step fails of is written out."""
    async with sending(tmp_path, starts=False, connect=FaultyConnection, queue_max=1_000) as house:
        monkeypatch.setattr("plivostatusd.flows.outbox.intake.RETRY_S", 0.001)
        monkeypatch.setattr("plivostatusd.store.rolls.STEP_ALONE", rolls.STEP)
        for fault in ("with", "without"):
            house.place.connection.faults = [fault]
            with pytest.raises(StoreUnavailable):
                await house.outbox.accept(request(to=MANY), sent_by="cron", key=None)
            await house.place.writer.submit(lambda _: None)
            assert [] == house.place.rows("SELECT id FROM messages")
            assert [0] == [await house.place.writer.submit(rolls.left)]
        house.place.connection.faults = ["fine", "without", "fine", "with", "with"]
        await house.outbox.accept(request(to=MANY), sent_by="cron", key=None)
        assert MANY == house.place.rows("SELECT recipient_number FROM messages ORDER BY row")


async def test_a_long_list_of_the_last_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that the last process accepted and left in part is sent whole by the next one."""
    async with sending(tmp_path, starts=False, queue_max=1_000) as house:
        monkeypatch.setattr(Intake, "_write_out", lambda *_: asyncio.sleep(0))
        accepted = await house.outbox.accept(request(to=MANY), sent_by="cron", key=None)
        await house.place.writer.submit(lambda tx: rolls.write_out(tx, accepted.ids[0]))
        assert [rolls.STEP] == house.place.rows("SELECT count(*) FROM messages")
    async with sending(tmp_path, starts=False, queue_max=1_000) as house:
        await house.outbox.write_out()
        assert [*accepted.ids] == house.place.rows("SELECT id FROM messages ORDER BY row")
        await house.outbox.start()
        await house.plivo.heard(len(MANY))
        await house.settled()
        assert {"queued"} == {*house.place.rows("SELECT current_status FROM messages")}


@pytest.mark.expect_log("list_not_written_out")
async def test_a_long_list_and_a_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that cannot be written out is told of, is still accepted, and waits for a start."""
    async with sending(tmp_path, starts=False, queue_max=1_000) as house:
        with monkeypatch.context() as patch:
            patch.setattr(rolls, "record", lambda *_: 1 // 0)
            await house.outbox.accept(request(to=MANY), sent_by="cron", key=None)
        assert [] == house.place.rows("SELECT id FROM messages")
        await house.outbox.write_out()
        assert MANY == house.place.rows("SELECT recipient_number FROM messages ORDER BY row")
