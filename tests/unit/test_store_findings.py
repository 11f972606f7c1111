"""What Plivo's API says, in the store: an event where it is news, and the next question."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from plivostatusd.domain.asking import LAST_WORD_SENT, SILENT, Patience
from plivostatusd.domain.statuses import Fact
from plivostatusd.store import asks, findings
from plivostatusd.store.findings import Answer, Learnt, Moment
from tests.unit.store_place import SECOND_US, START_US, Place, opened, uuid

PATIENCE = Patience(after_us=600 * SECOND_US, silence_final_us=7_200 * SECOND_US)
STEADY_US = 55 * SECOND_US


def fact(status: str | None, **more: Any) -> Fact:
    """Make what Plivo's API says."""
    return Fact(status=status, source="api", trust="api", **more)


async def do(place: Place, job: Any, *arguments: Any) -> Any:
    """Run one of the store's functions in a transaction."""
    return await place.writer.submit(lambda tx: job(tx, *arguments))


async def learn(
    place: Place, said: Fact | None, number: int = 1, patience: Patience = PATIENCE
) -> Learnt | None:
    """Write an answer about a message down."""
    raw = None if said is None else b"{}"
    now_us = place.clock()
    moment = Moment(now_us=now_us, careful_us=now_us, steady_us=STEADY_US)
    learnt: Learnt | None = await do(
        place, findings.learn, Answer(uuid(number), said, raw), moment, patience
    )
    return learnt


def planned(place: Place) -> list[tuple[int, int, float, int]]:
    """Give the next questions: message, urgency, in how many seconds, how often asked."""
    rows = place.rows("SELECT message, urgency, due_at, asked FROM asks")
    return [(row, urgency, (due - STEADY_US) / SECOND_US, n) for row, urgency, due, n in rows]


async def test_news(tmp_path: Path) -> None:
    """An answer is an event of the message, at the API's trust, with the bytes it was read from."""
    async with opened(tmp_path) as place:
        recorded = await place.record(message_uuid=uuid(1), status="queued")
        place.clock.pass_(600)
        learnt = await learn(place, fact("sent", at_us=9, amount="0.0035"))
        assert learnt is not None
        assert (recorded.message_id, uuid(1), "queued", "sent", True, False) == (
            learnt.message_id,
            learnt.message_uuid,
            learnt.before,
            learnt.after,
            learnt.is_new,
            learnt.is_silence,
        )
        assert [("sent", "api", "api", 9, b"{}", place.clock())] == place.rows(
            "SELECT status, source, trust, at, raw, received_at FROM events WHERE row = 2"
        )
        assert [(1, LAST_WORD_SENT, 7200.0, 1)] == planned(place)


async def test_the_same_again(tmp_path: Path) -> None:
    """What was said before, its time apart, is no event, and the next question waits longer."""
    async with opened(tmp_path) as place:
        await place.record(message_uuid=uuid(1), status="queued")
        for at_us in (5, 5, 6):
            await learn(place, fact("queued", at_us=at_us))
        assert [2] == place.rows("SELECT count(*) FROM events")
        assert [(1, SILENT, 4800.0, 3)] == planned(place)
        await learn(place, fact("queued", units=2))
        assert [3] == place.rows("SELECT count(*) FROM events")


async def test_nothing_is_said(tmp_path: Path) -> None:
    """That Plivo has no such message changes nothing but the next question."""
    async with opened(tmp_path) as place:
        await place.record(message_uuid=uuid(1), status="queued")
        learnt = await learn(place, None)
        assert learnt is not None
        assert ("queued", "queued", False) == (learnt.before, learnt.after, learnt.is_new)
        assert [(1, SILENT, 1200.0, 1)] == planned(place)
        assert [1] == place.rows("SELECT count(*) FROM events")


async def test_a_status_that_is_not_said(tmp_path: Path) -> None:
    """A record without a state still says that Plivo has the message."""
    async with opened(tmp_path) as place:
        await place.record(message_uuid=uuid(1), status="sent")
        learnt = await learn(place, fact(None, units=3))
        assert learnt is not None
        assert ("sent", True) == (learnt.after, learnt.is_new)
        assert [3] == place.rows("SELECT units FROM messages")


async def test_final(tmp_path: Path) -> None:
    """After an outcome nobody is asked any more."""
    async with opened(tmp_path) as place:
        await place.record(message_uuid=uuid(1), status="sent")
        await do(place, asks.note, 1, SILENT)
        await learn(place, fact("delivered"))
        assert [] == planned(place)


async def test_of_nobody(tmp_path: Path) -> None:
    """An answer about a UUID that no message has, or only as a second one, is nobody's."""
    async with opened(tmp_path) as place:
        assert await learn(place, fact("sent"), 7) is None
        await place.record(message_uuid=uuid(1), status="sent")
        await do(place, lambda tx: tx.execute("INSERT INTO aliases VALUES (?, 1)", (uuid(2),)))
        assert await learn(place, fact("delivered"), 2) is None
        assert ["sent"] == place.rows("SELECT current_status FROM messages")


async def test_silence_is_the_last_word(tmp_path: Path) -> None:
    """A `sent` heard for long enough is final by silence, once Plivo has said the same again."""
    async with opened(tmp_path) as place:
        await place.record(message_uuid=uuid(1), status="queued")
        place.clock.pass_(7_000)
        await place.record(message_uuid=uuid(1), status="sent")
        place.clock.pass_(7_199)
        learnt = await learn(place, fact("sent"))
        assert learnt is not None
        assert not learnt.is_silence
        assert [(1, LAST_WORD_SENT, 1.0, 1)] == planned(place)
        place.clock.pass_(1)
        learnt = await learn(place, fact("sent"))
        assert learnt is not None
        assert ("sent", "sent", True) == (learnt.before, learnt.after, learnt.is_silence)
        assert [] == planned(place)
        assert [("sent", "silence", "local", uuid(1))] == place.rows(
            "SELECT status, source, trust, message_uuid FROM events ORDER BY row DESC LIMIT 1"
        )
        assert [("silence", 1)] == place.rows("SELECT final_by, final FROM messages")


async def test_news_are_no_silence(tmp_path: Path) -> None:
    """A message that was `queued` for long and is `sent` now has not been silent as `sent`."""
    async with opened(tmp_path) as place:
        await place.record(message_uuid=uuid(1), status="queued")
        place.clock.pass_(7_200)
        learnt = await learn(place, fact("sent"))
        assert learnt is not None
        assert not learnt.is_silence
        assert [(1, LAST_WORD_SENT, 7200.0, 1)] == planned(place)


@pytest.mark.parametrize("careful_us", [START_US, START_US - 86_400 * SECOND_US])
async def test_clocks_that_were_set(tmp_path: Path, careful_us: int) -> None:
    """However far ahead the wall clock was set since, or back, nothing has been silent for it."""
    async with opened(tmp_path) as place:
        await place.record(message_uuid=uuid(1), status="sent")
        moment = Moment(now_us=2**60, careful_us=careful_us, steady_us=STEADY_US)
        learnt = await do(place, findings.note_unanswered, 1, moment, PATIENCE)
        assert not learnt.is_silence
        assert [(1, LAST_WORD_SENT, 7200.0, 1)] == planned(place)


@pytest.mark.parametrize(("after_s", "left"), [(600, True), (0, False)])
async def test_without_an_answer(tmp_path: Path, after_s: int, *, left: bool) -> None:
    """A message that nobody could be asked about is planned for anew, as the terms now say."""
    async with opened(tmp_path) as place:
        await place.record(message_uuid=uuid(1), status="queued")
        await do(place, asks.note, 1, SILENT)
        patience = Patience(after_us=after_s * SECOND_US, silence_final_us=10**15)
        moment = Moment(now_us=START_US, careful_us=START_US, steady_us=STEADY_US)
        learnt = await do(place, findings.note_unanswered, 1, moment, patience)
        assert (False, False) == (learnt.is_new, learnt.is_silence)
        assert left == bool(planned(place))
        assert await do(place, findings.note_unanswered, 77, moment, patience) is None
