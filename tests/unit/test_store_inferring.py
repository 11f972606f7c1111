"""Lost sends in the store: which are looked for, when, and what is written of one that is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from plivostatusd.domain.asking import SILENT, Patience
from plivostatusd.domain.matching import Call
from plivostatusd.domain.statuses import Fact
from plivostatusd.store import entries, inferring, watching
from plivostatusd.store.entries import Entry
from plivostatusd.store.findings import Answer, Moment
from tests.unit.store_place import SECOND_US, START_US, Place, opened, submission, uuid

MOMENT = Moment(now_us=START_US + 7, careful_us=START_US + 7, steady_us=START_US + 7)
PATIENCE = Patience(after_us=600 * SECOND_US, silence_final_us=10**15)
RAW = b'{"message_uuid": "..."}'


def said(number: int, status: str = "sent", **more: Any) -> Answer:
    """Make what Plivo's list says of one message."""
    return Answer(uuid(number), Fact(status=status, source="api", trust="api", **more), RAW)


async def do(place: Place, job: Any, *arguments: Any) -> Any:
    """Run one of the store's functions in a transaction."""
    return await place.writer.submit(lambda tx: job(tx, *arguments))


async def claimed(place: Place, **options: Any) -> Entry:
    """Record a send, and be on the way to Plivo."""
    now_us = place.clock()
    await place.accept(submission(now_us=now_us, **options))
    entry = await do(place, entries.claim, now_us, now_us)
    assert isinstance(entry, Entry)
    return entry


async def unknown(place: Place, look_in_s: float = 0, **options: Any) -> Entry:
    """Record a send, and lose the answer to its call."""
    entry = await claimed(place, **options)
    look_us = place.clock() + int(look_in_s * SECOND_US)
    await do(place, entries.settle_unknown, entry.row, "lost", place.clock(), look_us)
    return entry


def outbox(place: Place) -> list[tuple[int, str, int, int]]:
    """Give what is not settled: message, state, due, reported."""
    return place.rows("SELECT message, state, due_at, reported FROM outbox ORDER BY message")


async def test_inferred(tmp_path: Path) -> None:
    """What is found is the send's: UUID, status, source `inferred`, and the bytes that said so."""
    async with opened(tmp_path) as place:
        entry = await unknown(place)
        answer = said(1, "delivered", units=2, mcc="310", at_us=5)
        learnt = await do(place, inferring.infer, entry.row, answer, MOMENT)
        assert (entry.id, uuid(1), "unknown", "delivered", True) == (
            learnt.message_id,
            learnt.message_uuid,
            learnt.before,
            learnt.after,
            learnt.is_new,
        )
        assert [] == outbox(place)
        assert [("delivered", "inferred", "api", uuid(1), 2, RAW, MOMENT.now_us)] == place.rows(
            "SELECT status, source, trust, message_uuid, units, raw, received_at FROM events"
            " ORDER BY row DESC LIMIT 1"
        )
        assert [(uuid(1), "delivered", 5, 1)] == place.rows(
            "SELECT message_uuid, current_status, status_timestamp, final FROM messages"
        )


async def test_inferred_only_while_unknown(tmp_path: Path) -> None:
    """A send on its way, or settled meanwhile, or of which nothing is said, stays as it is."""
    async with opened(tmp_path) as place:
        on_its_way, settled, other = (
            await claimed(place),
            await unknown(place),
            await unknown(place),
        )
        await place.record(message_uuid=uuid(2), status="sent", ref=settled.ref)
        nothing = Answer(uuid(3), None, None)
        for row, answer in (
            (on_its_way.row, said(1)),
            (settled.row, said(1)),
            (other.row, nothing),
        ):
            assert await do(place, inferring.infer, row, answer, MOMENT) is None
        statuses = place.rows("SELECT current_status FROM messages ORDER BY row")
        assert ["pending", "sent", "unknown"] == statuses


async def test_an_open_one_is_asked_about_later(tmp_path: Path) -> None:
    """What was found and is not final is asked about, however long ago it was gone past."""
    async with opened(tmp_path) as place:
        entry, final = await unknown(place), await unknown(place)
        newest = await do(place, watching.newest_row)
        await do(place, watching.watch, newest, PATIENCE, START_US, START_US)
        await do(place, inferring.infer, entry.row, said(1, "queued"), MOMENT)
        await do(place, inferring.infer, final.row, said(2, "failed"), MOMENT)
        assert [(entry.row, SILENT)] == place.rows("SELECT message, urgency FROM asks")


async def test_rivals(tmp_path: Path) -> None:
    """All that was called in the span and is not settled may be what is in the list."""
    async with opened(tmp_path) as place:
        for _ in range(5):
            await unknown(place)
            place.clock.pass_(60)
        way = await claimed(place, sender=None, to=["+14155559999"])
        settled = await claimed(place)
        await do(place, entries.settle_accepted, settled.row, uuid(1), START_US)
        await place.accept(submission(now_us=place.clock()))
        found = await do(
            place, inferring.unsettled_calls, START_US + 60 * SECOND_US, place.clock() + 1
        )
        assert {2, 3, 4, 5, way.row} == {call.row for call in found}
        assert (
            Call(row=way.row, sender=None, recipient="+14155559999", called_us=place.clock())
            in found
        )
        assert [] == await do(place, inferring.unsettled_calls, 0, START_US - 1)


async def test_what_is_looked_for(tmp_path: Path) -> None:
    """Of the unknown those that are due, the longest due first; or a single one, due or not."""
    async with opened(tmp_path) as place:
        late, early, later = [await unknown(place, look_in_s=each) for each in (20, 10, 30)]
        way = await claimed(place)
        due = await do(place, inferring.unknown_due, START_US + 20 * SECOND_US, 9)
        assert [early.row, late.row] == [call.row for call in due]
        assert [early.row] == [
            call.row for call in await do(place, inferring.unknown_due, 2**60, 1)
        ]
        assert later.row == (await do(place, inferring.call_of, later.row)).row
        assert await do(place, inferring.call_of, way.row) is None


async def test_look_again(tmp_path: Path) -> None:
    """Who was looked for in vain is looked for later; who is settled meanwhile, never."""
    async with opened(tmp_path) as place:
        entry, way = await unknown(place), await claimed(place)
        before = outbox(place)[1]
        for row in (entry.row, way.row, 77):
            await do(place, inferring.look_again, row, 2**50)
        assert [(entry.row, "unknown", 2**50, 0), before] == outbox(place)


async def test_given_up_on(tmp_path: Path) -> None:
    """After its time a send is reported, once, and looked for only when somebody asks for it."""
    async with opened(tmp_path) as place:
        old = [await unknown(place) for _ in range(3)]
        place.clock.pass_(100)
        await unknown(place)
        await claimed(place)
        reports = [
            await do(place, inferring.report_overdue, START_US + 50 * SECOND_US, 2)
            for _ in range(3)
        ]
        assert [[old[0].id, old[1].id], [old[2].id], []] == reports
        far_us = place.clock() + 10**13
        assert [4] == [call.row for call in await do(place, inferring.unknown_due, far_us, 9)]
        await do(place, inferring.hurry, 5)
        assert 4 == len(await do(place, inferring.unknown_due, 5, 9))
        assert [] == await do(place, inferring.report_overdue, START_US + 50 * SECOND_US, 9)
        for row in (1, 4):
            await do(place, inferring.look_again, row, 99)
        assert [4] == [call.row for call in await do(place, inferring.unknown_due, 99, 9)][2:]
        assert [1, 1, 1, 0, 0] == [reported for *_, reported in outbox(place)]


async def test_given_up_on_over_a_restart(tmp_path: Path) -> None:
    """A send that was given up on does not upset the start that sets clocks right."""
    async with opened(tmp_path) as place:
        await unknown(place)
        await do(place, inferring.report_overdue, START_US + 1, 9)
        for drift_us in (0, 10**15, -(10**15)):
            await do(place, entries.reset_clock, START_US, drift_us)
        assert [] == await do(place, inferring.report_overdue, START_US + 1, 9)


@pytest.mark.parametrize("state", ["unknown", "claimed", "settled", "nobody"])
async def test_refused_at_last(tmp_path: Path, state: str) -> None:
    """As configured, a send that nobody could settle counts as refused, and says by whose word."""
    async with opened(tmp_path) as place:
        entry = await (claimed(place) if state == "claimed" else unknown(place))
        if state == "settled":
            await place.record(message_uuid=uuid(1), status="sent", ref=entry.ref)
        name = "nobody" if state == "nobody" else entry.id
        await do(place, entries.refuse_unknown, name, START_US)
        is_refused = state == "unknown"
        assert is_refused == ("refused" in place.rows("SELECT current_status FROM messages"))
        by = place.rows("SELECT verified_by FROM events WHERE source = 'operator'")
        assert (["send.unknown_then"] if is_refused else []) == by
        if is_refused:
            assert [] == outbox(place)
            told = await place.record(message_uuid=uuid(1), status="sent", ref=entry.ref)
            assert (entry.id, "sent") == (told.message_id, told.message_status)


async def test_a_name_is_not_replaced(tmp_path: Path) -> None:
    """What has a name at Plivo is given no other one."""
    async with opened(tmp_path) as place:
        entry = await unknown(place)
        sql = "UPDATE messages SET message_uuid = ? WHERE row = ?"
        await do(place, lambda tx: tx.execute(sql, (uuid(2), entry.row)).rowcount)
        assert await do(place, inferring.infer, entry.row, said(1), MOMENT) is None


async def test_when_it_was_called_outlives_the_inference(tmp_path: Path) -> None:
    """A send found claimed at a start, inferred and proven another, is sought around its call."""
    async with opened(tmp_path) as place:
        entry = await claimed(place)
        (called_us,) = place.rows("SELECT claimed_at FROM outbox")
        restart_us = called_us + 7_200 * SECOND_US
        await do(place, entries.settle_unknown, entry.row, "ended", restart_us, restart_us)
        await do(place, inferring.infer, entry.row, said(1), MOMENT)
        other = await claimed(place)
        await do(place, entries.settle_accepted, other.row, uuid(1), restart_us)
        assert [(entry.row, called_us)] == place.rows("SELECT message, claimed_at FROM outbox")
