from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from plivostatusd.domain.secret import Secret
from plivostatusd.plivo.api import PlivoApi
from plivostatusd.plivo.outcome import Absent, AccountRefused, Found, Listed, NotSent, Unknown
from plivostatusd.plivo.query import ListQuery
from plivostatusd.plivo.record import MessageRecord
from plivostatusd.simulator import Options, Simulator
from plivostatusd.simulator.account import Outage
from plivostatusd.simulator.options import AUTH_ID, AUTH_TOKEN, Paging
from tests.unit import plivo_door
from tests.unit.plivo_door import MakeApi
from tests.unit.test_plivo_questions import NINE_US, QUERY, QUESTIONS, UUID, Ask

make_api = plivo_door.make_api
_sdk_loaded = plivo_door.sdk_loaded


@asynccontextmanager
async def simulating(
    make_api: MakeApi,
    now_us: Callable[[], int],
    token: str = AUTH_TOKEN,
    paging: Paging = "offset",
) -> AsyncIterator[tuple[Simulator, PlivoApi]]:
    """Run a simulator by its own clock, and open a door to it."""
    options = Options(port=0, speed=10_000.0, paging=paging)
    simulator = Simulator(options, now_us=now_us)
    await simulator.start()
    api = make_api(simulator.url, auth_id=AUTH_ID, auth_token=Secret(token))
    try:
        yield simulator, api
    finally:
        await api.close()
        await simulator.stop()


def steady() -> int:
    """Tell the same time for ever."""
    return NINE_US


def adopt(simulator: Simulator, dst: str = "14155550001") -> str:
    """Have a message known to the simulator."""
    return simulator.adopt(dst=dst, url="", src="14155551212").uuid


async def every_page(api: PlivoApi, query: ListQuery) -> list[Listed]:
    """Ask page after page to the end."""
    pages: list[Listed] = []
    while True:
        page = await api.list(query)
        assert isinstance(page, Listed)
        pages.append(page)
        if page.next is None:
            return pages
        query = replace(query, page=page.next)


async def test_a_told_story(make_api: MakeApi) -> None:
    """Of a message whose callbacks never came, the API tells the end, and when it was."""
    async with simulating(make_api, steady) as (simulator, api):
        taken = simulator.take(dst="14155550006", url="http://127.0.0.1:9/", src="14155551212")
        await simulator.idle()
        found = await api.get(taken.uuid)
        absent = await api.get(UUID)
    assert isinstance(found, Found)
    expected = MessageRecord(
        message_uuid=taken.uuid,
        state="delivered",
        direction="outbound",
        sender="+14155551212",
        recipient="+14155550006",
        message_time_us=NINE_US,
        sent_us=NINE_US,
        updated_us=NINE_US,
        error_code="000",
        units=1,
        amount="0.00350",
        mcc="310",
        mnc="150",
        raw=found.record.raw,
    )
    assert found.record == expected
    assert absent == Absent()


@pytest.mark.parametrize("paging", ["offset", "cursor"])
async def test_many_pages(paging: Paging, make_api: MakeApi) -> None:
    """Page by page every message of the window comes once, newest first, and none beside it."""
    clock = itertools.count(NINE_US - 2)
    async with simulating(make_api, lambda: next(clock), paging=paging) as (simulator, api):
        for _ in range(70):
            adopt(simulator)
        window = replace(QUERY, until_us=NINE_US + 65)
        pages = await every_page(api, window)
        short = await every_page(api, replace(window, limit=13))
    assert [20, 20, 20, 5] == [len(page.records) for page in pages]
    assert [13, 13, 13, 13, 13] == [len(page.records) for page in short]
    times = [each.message_time_us for page in pages for each in page.records]
    assert list(range(NINE_US + 64, NINE_US - 1, -1)) == times
    assert [each.records for each in short][-1][-1] == pages[-1].records[-1]
    assert sum(page.unreadable for page in pages) == 0


async def test_filters(make_api: MakeApi) -> None:
    """A list is narrowed by either number, spelled as we keep it."""
    async with simulating(make_api, steady) as (simulator, api):
        uuids = [adopt(simulator, f"1415555000{digit}") for digit in range(5)]
        simulator.adopt(dst="14155550003", url="", src="ACME")
        found = await every_page(
            api, replace(QUERY, sender="+14155551212", recipient="+14155550003")
        )
        named = await every_page(api, replace(QUERY, sender="ACME"))
        inbound = await every_page(api, replace(QUERY, direction="inbound"))
    assert [uuids[3]] == [each.message_uuid for each in found[0].records]
    assert ["ACME"] == [each.sender for each in named[0].records]
    assert inbound == [Listed(())]


async def test_rows_and_records_agree(make_api: MakeApi) -> None:
    """A row of the list says what the single question says, its raw form apart."""
    async with simulating(make_api, steady) as (simulator, api):
        uuid = adopt(simulator)
        found, listed = await api.get(uuid), await api.list(QUERY)
    assert isinstance(found, Found)
    assert isinstance(listed, Listed)
    assert replace(found.record, raw=listed.records[0].raw) == listed.records[0]


@pytest.mark.parametrize("ask", QUESTIONS)
async def test_a_wrong_token(ask: Ask, make_api: MakeApi) -> None:
    """A token that Plivo does not know is the account's refusal, whatever the SDK makes of it."""
    async with simulating(make_api, steady, "no-such-token") as (_, api):
        assert await ask(api) == AccountRefused(401, "authentication failed")


@pytest.mark.parametrize("ask", QUESTIONS)
async def test_an_outage(ask: Ask, make_api: MakeApi) -> None:
    """An outage leaves every question open, and its end is the end of it."""
    async with simulating(make_api, steady) as (simulator, api):
        simulator.outage = Outage(503)
        assert await ask(api) == Unknown("HTTP 503", 503)
        simulator.outage = Outage(429, "too many requests")
        assert await ask(api) == NotSent("Plivo asks to slow down (429)", None, throttled=True)
        simulator.outage = None
        assert await ask(api) in (Absent(), Listed(()))
