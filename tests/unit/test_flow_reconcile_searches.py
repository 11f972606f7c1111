"""Lost sends: found in Plivo's list where exactly one message fits, else left unknown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plivostatusd.domain.matching import MARGIN_US
from plivostatusd.flows.reconcile import searches
from plivostatusd.flows.reconcile.brake import Brake
from plivostatusd.plivo.outcome import AccountRefused, Listed, NotSent, Unknown
from plivostatusd.store import entries
from tests.logbook import Logbook
from tests.unit.asked_plivo import RECIPIENT, SENDER, Asking, asking
from tests.unit.store_place import SECOND_US, START_US, uuid

LOOK_S = 130.0
OTHER = "+14155550000"


async def look(house: Asking) -> bool:
    """Look for what is due."""
    return await house.reconcile._searches.round()


async def lost(house: Asking, count: int = 1, **options: Any) -> list[str]:
    """Send messages, lose the answers, and let the time pass until the list is whole."""
    names = [(await house.lost(**options)).id for _ in range(count)]
    house.place.clock.pass_(LOOK_S)
    return names


def due_in_s(house: Asking) -> list[float]:
    """Say in how many seconds each lost send is looked for again."""
    rows = house.place.rows("SELECT due_at FROM outbox WHERE state = 'unknown' ORDER BY message")
    return [(due_us - house.place.clock()) / SECOND_US for due_us in rows]


async def test_found(tmp_path: Path, logbook: Logbook) -> None:
    """The one message that fits is the send's: its UUID and status, and a line in the log."""
    async with asking(tmp_path) as house:
        (name,) = await lost(house)
        house.plivo.know(1, "delivered", START_US + 5 * SECOND_US)
        assert await look(house)
        found = await house.message(name)
        assert (uuid(1), "delivered", 1) == (
            found["message_uuid"],
            found["current_status"],
            found["final"],
        )
        assert ["inferred"] == house.counts.results
        assert [] == house.place.rows("SELECT * FROM outbox")
        (line,) = logbook.events("message_reconciled")
        assert (name, "inferred", "delivered", "unknown") == (
            line["message_id"],
            line["result"],
            line["status"],
            line["status_before"],
        )
        assert not await look(house)


async def test_what_plivo_is_asked(tmp_path: Path) -> None:
    """The list is asked for one recipient and sender, two minutes around the call, up to now."""
    async with asking(tmp_path) as house:
        await lost(house)
        await look(house)
        (query,) = house.plivo.queries
        assert (START_US - MARGIN_US, START_US + MARGIN_US) == (query.since_us, query.until_us)
        assert (SENDER, RECIPIENT, "outbound") == (query.sender, query.recipient, query.direction)
        house.plivo.queries.clear()
        await house.lost(sender=None)
        await look(house)
        (query,) = house.plivo.queries
        assert (None, RECIPIENT) == (query.sender, query.recipient)
        assert house.place.clock() - 5 * SECOND_US == query.until_us


async def test_an_empty_list_proves_nothing(tmp_path: Path) -> None:
    """What is not in the list is unknown still, and looked for later and later, up to an hour."""
    async with asking(tmp_path) as house:
        (name,) = await lost(house)
        pauses = []
        for _ in range(9):
            assert await look(house)
            pauses += due_in_s(house)
            assert not await look(house)
            house.place.clock.pass_(pauses[-1])
        assert [130.0, 260.0, 520.0, 1040.0, 2080.0, 3600.0] == pauses[:6]
        assert {3600.0} == set(pauses[6:])
        assert "unknown" == await house.status(name)
        assert [] == house.counts.results


@pytest.mark.parametrize(("calls", "messages"), [(1, 2), (2, 1), (2, 2), (3, 1)], ids=str)
async def test_more_than_one_fits(tmp_path: Path, calls: int, messages: int) -> None:
    """Where more than one message, or more than one send, fits, nothing is inferred."""
    async with asking(tmp_path) as house:
        names = await lost(house, calls)
        for number in range(messages):
            house.plivo.know(number, "delivered", START_US + number)
        await look(house)
        assert ["unknown"] * calls == [await house.status(name) for name in names]


async def test_one_on_its_way_is_a_rival(tmp_path: Path) -> None:
    """A send whose answer is still awaited may be what is in the list; once settled it is not."""
    async with asking(tmp_path) as house:
        (name,) = await lost(house)
        rival = await house.claimed()
        house.place.clock.us = START_US + int(LOOK_S * SECOND_US)
        house.plivo.know(1, "sent", START_US + 60 * SECOND_US)
        await look(house)
        assert "unknown" == await house.status(name)
        await house.do(entries.settle_accepted, rival.row, uuid(2), house.place.clock())
        house.place.clock.pass_(LOOK_S)
        await look(house)
        assert ("sent", uuid(1)) == (
            await house.status(name),
            (await house.message(name))["message_uuid"],
        )


async def test_whose_it_is_already(tmp_path: Path) -> None:
    """A message that is another send's, or was heard of on the bare path, is no candidate."""
    async with asking(tmp_path) as house:
        await house.sent(1)
        (name,) = await lost(house)
        await house.place.record(message_uuid=uuid(2), status="sent")
        for number in (1, 2):
            house.plivo.know(number, "sent", START_US)
        await look(house)
        assert "unknown" == await house.status(name)
        house.plivo.know(3, "failed", START_US)
        house.place.clock.pass_(LOOK_S)
        await look(house)
        assert "failed" == await house.status(name)


@pytest.mark.parametrize(
    "changed",
    [
        {"to_number": OTHER},
        {"from_number": OTHER},
        {"message_direction": "inbound"},
        {"message_time": None},
        {"at_us": START_US - MARGIN_US - 1},
        {"at_us": START_US + MARGIN_US + 1},
    ],
    ids=str,
)
async def test_what_does_not_fit(tmp_path: Path, changed: dict[str, Any]) -> None:
    """A message of another sender, recipient, direction or time is not taken, were it listed."""
    async with asking(tmp_path) as house:
        names = await lost(house, searches.FEW + 1)  # together: the list is not filtered by numbers
        at_us = changed.pop("at_us", START_US)
        house.plivo.know(1, "sent", at_us, **changed)
        house.plivo.listings = [Listed(tuple(house.plivo.records.values()))]
        await look(house)
        assert {"unknown"} == {await house.status(name) for name in names}


async def test_many_at_once(tmp_path: Path) -> None:
    """Sends that were lost together are looked for in one reading of the list, page by page."""
    async with asking(tmp_path) as house:
        recipients = [f"+141555{number:05}" for number in range(60)]
        names = [(await house.lost(to=[to])).id for to in recipients]
        for number, to in enumerate(recipients):
            if number % 2:
                house.plivo.know(number, "sent", START_US, to_number=to.removeprefix("+"))
        house.place.clock.pass_(LOOK_S)
        await look(house)
        assert ["unknown", "sent"] * 30 == [await house.status(name) for name in names]
        assert [None, "20"] == [each.page and each.page.value for each in house.plivo.queries]
        assert {(None, None)} == {(each.sender, each.recipient) for each in house.plivo.queries}


async def test_lost_at_different_times(tmp_path: Path) -> None:
    """Sends that were lost far apart are looked for apart, the first call first."""
    async with asking(tmp_path) as house:
        await lost(house, searches.FEW + 1)
        house.place.clock.pass_(7_200)
        await lost(house, searches.FEW + 1)
        assert await look(house)
        assert [START_US - MARGIN_US] == [each.since_us for each in house.plivo.queries]
        assert await look(house)
        assert not await look(house)
        assert 2 == len(house.plivo.queries)


async def test_unreadable_rows(tmp_path: Path) -> None:
    """A row that names no message may be the one that is looked for: nothing is inferred."""
    async with asking(tmp_path) as house:
        (name,) = await lost(house)
        house.plivo.know(1, "sent", START_US)
        whole = Listed(tuple(house.plivo.records.values()))
        house.plivo.listings = [replace(whole, unreadable=1)]
        await look(house)
        assert ("unknown", [LOOK_S]) == (await house.status(name), due_in_s(house))
        house.place.clock.pass_(LOOK_S)
        await look(house)
        assert "sent" == await house.status(name)


async def test_unreadable_together(tmp_path: Path) -> None:
    """When the list about many cannot be read to its end, each is looked for alone."""
    async with asking(tmp_path) as house:
        count = searches.FEW + 1
        recipients = [f"+141555{number:05}" for number in range(count)]
        names = [(await house.lost(to=[to])).id for to in recipients]
        house.plivo.know(1, "sent", START_US, to_number=recipients[1].removeprefix("+"))
        house.place.clock.pass_(LOOK_S)
        house.plivo.listings = [Listed((), unreadable=1)]
        await look(house)
        assert [None, *recipients] == [each.recipient for each in house.plivo.queries]
        statuses = [await house.status(name) for name in names]
        assert ["unknown", "sent", *["unknown"] * (count - 2)] == statuses
        assert count - 1 == len(due_in_s(house))


async def test_a_list_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that is longer than what is looked for says nothing of what was not read of it."""
    monkeypatch.setattr(searches, "PAGES_MAX", 2)
    async with asking(tmp_path) as house:
        (name,) = await lost(house)
        for number in range(41):
            house.plivo.know(number, "sent", START_US - number * SECOND_US)
        del house.plivo.records[uuid(0)]
        house.plivo.know(99, "sent", START_US)
        await look(house)
        assert ("unknown", 2) == (await house.status(name), len(house.plivo.queries))


@pytest.mark.expect_log("reconcile_paused")
@pytest.mark.parametrize(
    "failure",
    [Unknown("HTTP 503", 503), NotSent("429", 30.0, throttled=True), AccountRefused(401, "no")],
)
async def test_no_answer(tmp_path: Path, failure: Any) -> None:
    """While the API fails nothing is inferred, and the send is looked for later."""
    async with asking(tmp_path) as house:
        (name,) = await lost(house)
        house.desk.brake = Brake(first_s=3_600.0)
        house.plivo.know(1, "sent", START_US)
        house.plivo.listings = [failure]
        assert await look(house)
        assert ("unknown", [LOOK_S]) == (await house.status(name), due_in_s(house))
        assert house.desk.brake.is_on


@pytest.mark.expect_log("reconcile_paused")
async def test_no_answer_about_many(tmp_path: Path) -> None:
    """When the list about many is not answered, none is asked for alone; all stay due."""
    async with asking(tmp_path) as house:
        await lost(house, searches.FEW + 1)
        house.desk.brake = Brake(first_s=3_600.0)
        house.plivo.listings = [Unknown("HTTP 503", 503)]
        assert await look(house)
        assert 1 == len(house.plivo.queries)
        assert {-LOOK_S} == set(due_in_s(house))


async def test_never_more_often_than_messages(tmp_path: Path) -> None:
    """Under a short `reconcile.after`, a send that was just lost is looked for as soon as that."""
    async with asking(tmp_path, after_s=2.0) as house:
        await house.lost()
        await look(house)
        assert [2.0] == due_in_s(house)


@pytest.mark.expect_log("send_unsettled")
@pytest.mark.parametrize("is_asking", [True, False])
async def test_reported_once(tmp_path: Path, logbook: Logbook, *, is_asking: bool) -> None:
    """After `send.unknown_after` a send is reported, once, with what to type; it stays unknown."""
    async with asking(tmp_path, after_s=600.0 if is_asking else 0.0) as house:
        (name,) = await lost(house)
        house.place.clock.pass_(86_400)
        young = (await house.lost()).id
        for _ in range(3):
            await look(house)
            house.place.clock.pass_(3_600)
        (line,) = logbook.events("send_unsettled")
        assert name == line["message_id"]
        assert f"plivostatusctl settle {name}" in line["hint"]
        assert "unknown" == await house.status(name)
        asked = {each.since_us for each in house.plivo.queries}
        latest_us = (await house.message(young))["created_at"] - MARGIN_US
        assert ({latest_us} if is_asking else set()) == asked


@pytest.mark.expect_log("send_unsettled")
async def test_refused_as_configured(tmp_path: Path, logbook: Logbook) -> None:
    """With `send.unknown_then = refuse` it counts as refused then, and is said to be."""
    async with asking(tmp_path, refuses_unknown=True) as house:
        (name,) = await lost(house)
        house.place.clock.pass_(86_400)
        await look(house)
        found = await house.message(name)
        assert ("refused", 1) == (found["current_status"], found["final"])
        assert "nobody could find out" in found["reason"]
        assert [] == house.place.rows("SELECT * FROM outbox")
        (line,) = logbook.events("send_unsettled")
        assert f"plivostatusctl show {name}" == line["hint"]


@pytest.mark.expect_log("send_unsettled")
async def test_given_up_on_and_demanded(tmp_path: Path, logbook: Logbook) -> None:
    """A send that was given up on is looked for when somebody asks for it; it is not said again."""
    async with asking(tmp_path) as house:
        (name,) = await lost(house)
        house.place.clock.pass_(86_400)
        assert not await look(house)
        house.plivo.know(1, "delivered", START_US)
        async with house.running():
            outcomes = await house.demand_all()
        assert [(name, "inferred", "delivered")] == [
            (each.message_id, each.result, each.after) for each in outcomes
        ]
        assert 1 == len(logbook.events("send_unsettled"))
