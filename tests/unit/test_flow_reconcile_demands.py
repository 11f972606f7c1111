"""Asking on demand: about some messages, or about all that is open."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from plivostatusd.flows.reconcile import reconcile, sweeps
from plivostatusd.flows.reconcile.brake import Brake
from plivostatusd.flows.reconcile.outcomes import RESULTS, Outcome
from plivostatusd.flows.reconcile.reconcile import NOT_ASKED, TOO_EARLY
from plivostatusd.plivo.outcome import Listed, NotSent, Unknown
from plivostatusd.store import entries
from tests.unit.asked_plivo import AFTER_S, Asking, asking
from tests.unit.store_place import SECOND_US, START_US, submission, uuid


@pytest.fixture(autouse=True)
def no_idling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait for long to see that nothing more comes."""
    monkeypatch.setattr(reconcile, "IDLE_S", 0.02)


def told(outcomes: list[Outcome | str] | list[Outcome]) -> list[tuple[str, ...]]:
    """Sum up what was answered: before, after, result; and what is not there."""
    return [
        (each,) if isinstance(each, str) else (each.before, each.after, each.result)
        for each in outcomes
    ]


async def test_one_message_by_any_name(tmp_path: Path) -> None:
    """Asked about by our id or by Plivo's, at any age, a message is asked about now."""
    async with asking(tmp_path) as house:
        entry = await house.sent(1)
        house.plivo.know(1, "sent", START_US)
        outcomes = await house.demand(entry.id, uuid(1), "nobody")
        assert [("queued", "sent", "changed"), ("sent", "sent", "unchanged"), ("nobody",)] == told(
            outcomes
        )
        assert isinstance(outcomes[0], Outcome)
        assert (entry.id, uuid(1)) == (outcomes[0].message_id, outcomes[0].message_uuid)
        assert [uuid(1)] * 2 == house.plivo.asked


async def test_what_plivo_does_not_know(tmp_path: Path) -> None:
    """That Plivo has no such message is told as that."""
    async with asking(tmp_path) as house:
        entry = await house.sent(1)
        assert [("queued", "queued", "absent")] == told(await house.demand(entry.id))
        assert {"absent", "changed", "unchanged", "failed"} <= set(RESULTS)


async def test_a_lost_send(tmp_path: Path) -> None:
    """One whose outcome is unknown is looked for in the list, whenever it was last looked for."""
    async with asking(tmp_path) as house:
        entry = await house.lost()
        house.place.clock.pass_(130)
        (nothing,) = await house.demand(entry.id)
        assert isinstance(nothing, Outcome)
        assert ("unknown", "unchanged") == (nothing.after, nothing.result)
        assert "nothing in Plivo's list fits" in (nothing.reason or "")
        house.plivo.know(1, "delivered", START_US)
        assert [("unknown", "delivered", "inferred")] == told(await house.demand(entry.id))


async def test_a_send_lost_a_moment_ago(tmp_path: Path) -> None:
    """While another message may still turn up in the list, the one that is there proves nothing."""
    async with asking(tmp_path) as house:
        entry = await house.lost()
        house.plivo.know(1, "delivered", START_US - 60 * SECOND_US)
        house.place.clock.pass_(124)
        (early,) = await house.demand(entry.id)
        assert isinstance(early, Outcome)
        assert ("unknown", "unchanged", TOO_EARLY) == (early.after, early.result, early.reason)
        assert [] == house.plivo.queries
        async with house.running():
            assert [] == await house.demand_all()
        assert [] != house.plivo.queries
        assert "unknown" == await house.status(entry.id)
        house.place.clock.pass_(1)
        assert [("unknown", "delivered", "inferred")] == told(await house.demand(entry.id))


async def test_a_list_that_cannot_be_read(tmp_path: Path) -> None:
    """A look that could not see everything is told as failed."""
    async with asking(tmp_path) as house:
        entry = await house.lost()
        house.place.clock.pass_(130)
        house.plivo.listings = [Listed((), unreadable=1)]
        (failed,) = await house.demand(entry.id)
        assert isinstance(failed, Outcome)
        assert ("unknown", "failed") == (failed.after, failed.result)
        assert "cannot be read" in (failed.reason or "")


async def test_nothing_to_ask(tmp_path: Path) -> None:
    """A send that waits, is on its way, or was refused: there is nothing to ask Plivo about."""
    async with asking(tmp_path) as house:
        way, refused = await house.claimed(), await house.claimed()
        await house.do(entries.settle_refused, refused.row, "no", START_US)
        (waiting,) = (await house.place.accept(submission())).ids
        outcomes: list[Any] = await house.demand(way.id, refused.id, waiting)
        assert ["pending", "refused", "pending"] == [each.after for each in outcomes]
        assert {"unchanged"} == {each.result for each in outcomes}
        assert ([], []) == (house.plivo.asked, house.plivo.queries)


@pytest.mark.expect_log("reconcile_paused")
async def test_plivo_does_not_answer(tmp_path: Path) -> None:
    """A person's question goes out whatever failed before; after it fails the rest is not asked."""
    async with asking(tmp_path) as house:
        ids = [(await house.sent(number)).id for number in range(3)]
        lost = await house.lost()
        waiting = (await house.place.accept(submission())).ids
        house.desk.brake = Brake(first_s=3_600.0)
        house.desk.brake.note(NotSent("refused"))
        house.plivo.findings = [Unknown("HTTP 500", 500)]
        outcomes = await house.demand(*ids, lost.id, *waiting)
        reasons = [each.reason for each in outcomes if isinstance(each, Outcome)]
        assert ["HTTP 500", NOT_ASKED, NOT_ASKED, NOT_ASKED] == reasons[:4]
        assert ["failed"] * 4 + ["unchanged"] == [each[2] for each in told(outcomes)]
        assert ([uuid(0)], []) == (house.plivo.asked, house.plivo.queries)
        assert [("queued", "queued", "absent")] == told(await house.demand(ids[1]))


async def test_at_the_pace(tmp_path: Path) -> None:
    """A demand is no reason to ask faster than `reconcile.get_per_second`."""
    async with asking(tmp_path, get_per_second=50.0) as house:
        ids = [(await house.sent(number)).id for number in range(4)]
        turns_s = house.turns_s()
        await house.demand(*ids)
        assert 4 == len(turns_s) == len(house.plivo.asked)
        assert turns_s[-1] - turns_s[0] > 0.0599


async def open_ones(house: Asking) -> list[str]:
    """Have messages be open in every way; what Plivo knows of them would settle them."""
    silent, young, sent = await house.sent(1), await house.sent(2), await house.sent(3)
    await house.place.record(message_uuid=uuid(3), status="sent")
    final, lost = await house.sent(4), await house.lost(to=["+14155559999"])
    await house.place.record(message_uuid=uuid(4), status="delivered")
    for number in range(1, 5):
        house.plivo.know(number, "delivered", START_US)
    house.plivo.know(5, "failed", START_US, to_number="14155559999")
    return [silent.id, young.id, sent.id, lost.id, final.id]


@pytest.mark.parametrize("after_s", [AFTER_S, 0.0])
async def test_everything(tmp_path: Path, after_s: float) -> None:
    """Without ids all that is open is asked about now, even where nobody is asked as a rule."""
    async with asking(tmp_path, after_s=after_s) as house:
        ids = await open_ones(house)
        house.place.clock.pass_(130)
        async with house.running():
            outcomes = await house.demand_all()
            assert set(ids[:4]) == {each.message_id for each in outcomes}
            results = {each.message_id: (each.after, each.result) for each in outcomes}
            assert ("failed", "inferred") == results.pop(ids[3])
            assert {("delivered", "changed")} == set(results.values())
            assert [] == await house.demand_all()
        assert sorted(map(uuid, (1, 2, 3))) == sorted(house.plivo.asked)
        assert 0 == house.desk.demands


async def test_everything_twice(tmp_path: Path) -> None:
    """Where nobody is asked as a rule, a second demand asks about what is open still."""
    async with asking(tmp_path, after_s=0.0) as house:
        await house.sent(1)
        async with house.running():
            for _ in range(2):
                assert [("queued", "queued", "absent")] == told(await house.demand_all())
                await house.ask_all()
        assert [uuid(1)] * 2 == house.plivo.asked


async def test_many_by_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A demand about many is answered from the list, and waits until that is read."""
    monkeypatch.setattr(sweeps, "MANY", 30)
    async with asking(tmp_path, get_per_second=5.0) as house:
        for number in range(60):
            await house.place.record(message_uuid=uuid(number), status="queued")
            house.plivo.know(number, "delivered", START_US)
        house.place.clock.pass_(60)
        async with house.running():
            outcomes = await house.demand_all()
        assert {"delivered"} == {each.after for each in outcomes}
        assert 60 == len({each.message_id for each in outcomes})
        assert 55 < 60 - len(house.plivo.asked)


@pytest.mark.expect_log("reconcile_paused")
async def test_everything_while_plivo_does_not_answer(tmp_path: Path) -> None:
    """When Plivo does not answer, a demand about everything ends, and says what failed."""
    async with asking(tmp_path) as house:
        await house.sent(1)
        house.desk.brake = Brake(first_s=3_600.0)
        house.plivo.findings = [Unknown("HTTP 500", 500)]
        async with house.running():
            assert [("queued", "queued", "failed")] == told(await house.demand_all())
        assert 0 == house.desk.demands


async def test_nobody_listens_any_more(tmp_path: Path) -> None:
    """Who goes away in the middle is forgotten at once; what was begun is asked to its end."""
    async with asking(tmp_path, after_s=0.0) as house:
        for number in range(3):
            await house.sent(number)
        async with house.running():
            demanded = house.reconcile.demand_all()
            await anext(demanded)
            assert 1 == house.desk.demands
            await demanded.aclose()
            assert (0, set()) == (house.desk.demands, house.reconcile._outcomes._ears)


async def test_two_at_once(tmp_path: Path) -> None:
    """Two people who ask at the same time both hear of all of it."""
    async with asking(tmp_path) as house:
        for number in range(3):
            await house.sent(number)
        async with house.running():
            both = await asyncio.gather(house.demand_all(), house.demand_all())
        assert [3, 3] == [len({each.message_id for each in outcomes}) for outcomes in both]
