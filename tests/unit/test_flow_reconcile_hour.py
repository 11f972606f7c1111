"""After a long downtime: how many pages of Plivo's list make the store whole again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from plivostatusd.flows.reconcile import sweeps
from plivostatusd.store import pulse, receipts
from tests.unit.asked_plivo import AFTER_S, Asking, asking
from tests.unit.store_place import SECOND_US, START_US, arrival, uuid

MESSAGES = 1_600
A_SECOND = 5
ROWS_A_PAGE = 20


async def silent(house: Asking, *, at_once: bool) -> None:
    """Have messages be sent at full pace, and be silent; *at_once*: all were recorded together."""

    def job(transaction: Any) -> None:
        for number in range(MESSAGES):
            at_us = START_US + number * SECOND_US // A_SECOND
            house.plivo.know(number, "delivered", at_us)
            given = arrival(message_uuid=uuid(number), status="queued", received_us=at_us)
            receipts.record(transaction, given)
        if at_once:
            transaction.execute("UPDATE messages SET created_at = ?", (START_US,))

    await house.do(job)
    house.place.clock.pass_(MESSAGES / A_SECOND + AFTER_S)


@pytest.mark.parametrize("at_once", [False, True])
async def test_whole_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, at_once: bool
) -> None:
    """
    The list is read once, in stretches, though each stretch's window overlaps the next one's.

    That is what makes an hour at five a second whole within an hour: 18,000 messages on 900 pages,
    20 of them a minute.
    """
    monkeypatch.setattr(sweeps, "ROWS_MAX", MESSAGES // 4)
    async with asking(tmp_path) as house:
        await silent(house, at_once=at_once)
        await house.do(pulse.open_gap, START_US, house.place.clock())
        await house.reconcile.begin()
        while await house.reconcile._sweeps.round():
            pass
        assert [MESSAGES] == house.place.rows("SELECT count(*) FROM messages WHERE final = 1")
        assert len(house.plivo.queries) <= MESSAGES // ROWS_A_PAGE + 4
        assert [] == house.plivo.asked
        assert await house.do(pulse.gap) is None
