"""The table of questions: what is due, in which order, and what becomes of it over a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from plivostatusd.domain.asking import CONTESTED, DOUBTED, LAST_WORD_SENT, SILENT, Ask
from plivostatusd.store import asks, entries, pruning
from tests.unit.store_place import START_US, Place, opened, submission, uuid

Rows = list[tuple[int, int, int, int]]


async def do(place: Place, job: Any, *arguments: Any) -> Any:
    """Run one of the store's functions in a transaction."""
    return await place.writer.submit(lambda tx: job(tx, *arguments))


async def messages(place: Place, count: int) -> None:
    """Make messages, in the rows from 1 on."""
    for number in range(1, count + 1):
        await place.record(message_uuid=uuid(number))
        place.clock.pass_(1)


def rows(place: Place) -> Rows:
    """Give the table: message, urgency, due, asked."""
    return place.rows("SELECT message, urgency, due_at, asked FROM asks ORDER BY message")


async def test_the_most_urgent_note_holds(tmp_path: Path) -> None:
    """Noted twice, a message is asked about as urgently and as early as either note wants it."""
    async with opened(tmp_path) as place:
        await messages(place, 2)
        await do(place, asks.note, 1, SILENT, 500)
        await do(place, asks.note, 1, CONTESTED, 900)
        await do(place, asks.note, 1, LAST_WORD_SENT, 300)
        await do(place, asks.note, 2, DOUBTED)
        assert [(1, CONTESTED, 300, 0), (2, DOUBTED, asks.AT_ONCE, 0)] == rows(place)


async def test_a_plan_replaces_what_was(tmp_path: Path) -> None:
    """After an answer the next question is as planned, or there is none any more."""
    async with opened(tmp_path) as place:
        await messages(place, 1)
        await do(place, asks.note, 1, CONTESTED)
        await do(place, asks.plan, 1, Ask(LAST_WORD_SENT, 70), 1_000, 3)
        assert [(1, LAST_WORD_SENT, 1_070, 3)] == rows(place)
        await do(place, asks.plan, 1, None, 1_000, 4)
        assert [] == rows(place)


async def test_what_is_due(tmp_path: Path) -> None:
    """By urgency, then by age, then by number; never what is due later, nor more than asked for."""
    async with opened(tmp_path) as place:
        await messages(place, 6)
        notes = [(SILENT, 20), (SILENT, 10), (CONTESTED, 50), (LAST_WORD_SENT, 5), (SILENT, 10)]
        for row, (urgency, due_us) in enumerate(notes, start=1):
            await do(place, asks.note, row, urgency, due_us)
        await do(place, asks.note, 6, CONTESTED, 51)
        due = await do(place, asks.due, 50, 10)
        assert [3, 2, 5, 1, 4] == [each.row for each in due]
        made_us = START_US + 2_000_000
        assert (uuid(3), made_us, made_us, 0) == due[0][1:]
        assert [3, 2] == [each.row for each in await do(place, asks.due, 50, 2)]
        few = await do(place, asks.due, 50, 3, (LAST_WORD_SENT, SILENT))
        assert [4, 2, 5] == [each.row for each in few]
        assert [] == await do(place, asks.due, 4, 10)


async def test_since_when_plivo_has_it(tmp_path: Path) -> None:
    """A send that waited for its turn is known to be at Plivo since Plivo answered."""
    async with opened(tmp_path) as place:
        for row in (1, 2):
            await place.accept(submission(now_us=START_US + row))
            await do(place, asks.note, row, SILENT)
        entry = await do(place, entries.claim, START_US + 50, START_US + 50)
        await do(place, entries.settle_accepted, entry.row, uuid(1), START_US + 60)
        place.clock.us = START_US + 70
        await place.record(message_uuid=uuid(1), status="sent")
        spans = [each[2:4] for each in await do(place, asks.due, 0, 9)]
        assert [(START_US + 1, START_US + 60), (START_US + 2, START_US + 2)] == spans


async def test_moving(tmp_path: Path) -> None:
    """What is asked about is asked about at another time; what is not stays unasked."""
    async with opened(tmp_path) as place:
        await messages(place, 3)
        await do(place, asks.note, 1, SILENT, 10)
        await do(place, asks.note, 2, SILENT, 20)
        await do(place, asks.move, [1, 3], 99)
        assert [(1, SILENT, 99, 0), (2, SILENT, 20, 0)] == rows(place)


async def test_hurrying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Step by step, what was made since an instant is due now; nothing is made to wait longer."""
    monkeypatch.setattr(asks, "ROWS_PER_STEP", 2)
    async with opened(tmp_path) as place:
        await messages(place, 5)
        for row, due_us in enumerate([100, 100, 100, 7, 100], start=1):
            await do(place, asks.note, row, SILENT, due_us)
        steps: list[int | None] = [0]
        while steps[-1] is not None:
            after = steps[-1]
            steps.append(await do(place, asks.hurry, after, START_US + 1_000_000, 50))
        assert [0, 2, 4, None] == steps
        assert [100, 50, 50, 7, 50] == [due_us for _, _, due_us, _ in rows(place)]


@pytest.mark.parametrize(
    ("status", "trust", "left"),
    [("sent", "full", True), ("delivered", "full", False), ("delivered", "url-only", False)],
)
async def test_silence_is_answered(tmp_path: Path, status: str, trust: str, left: bool) -> None:
    """What is final by a callback is no longer asked about because it was silent."""
    async with opened(tmp_path) as place:
        await messages(place, 1)
        for urgency in (SILENT, LAST_WORD_SENT):
            await do(place, asks.note, 1, urgency)
            await place.record(message_uuid=uuid(1), status=status, trust=trust)
            assert left == bool(rows(place))


@pytest.mark.parametrize("urgency", [CONTESTED, DOUBTED])
async def test_doubt_is_not_answered_by_a_callback(tmp_path: Path, urgency: int) -> None:
    """Who may have been lied about is asked about, whatever callbacks say next."""
    async with opened(tmp_path) as place:
        await messages(place, 1)
        await do(place, asks.note, 1, urgency)
        await place.record(message_uuid=uuid(1), status="delivered")
        assert [(1, urgency, 0, 0)] == rows(place)


async def test_with_the_message_its_questions_go(tmp_path: Path) -> None:
    """A message that retention deletes is not asked about any more."""
    async with opened(tmp_path) as place:
        await messages(place, 1)
        await do(place, asks.note, 1, SILENT)
        await do(place, pruning.delete_messages, place.clock() + 1)
        assert [] == rows(place)


@pytest.mark.parametrize(
    ("due_us", "drift_us", "wanted_us"),
    [
        (START_US + 5, 0, START_US + 5),
        (START_US + 5, 1_000_000, START_US + 5),  # two clocks that agree are one
        (START_US + 5, 3_600_000_000, START_US + 3_600_000_005),
        (START_US + 5, -3_600_000_000, START_US - 3_599_999_995),
        (START_US + 9_999_000_000, 0, START_US + 9_000_000_000),  # further ahead than any wait
        (START_US + 5, 99_000_000_000, START_US + 9_000_000_000),
        (asks.AT_ONCE, -5_000_000, -5_000_000),
    ],
)
@pytest.mark.parametrize("urgency", [CONTESTED, LAST_WORD_SENT])
async def test_another_clock(
    tmp_path: Path, urgency: int, due_us: int, drift_us: int, wanted_us: int
) -> None:
    """Over a restart due instants become those of the new clock, and none is too far ahead."""
    async with opened(tmp_path) as place:
        await messages(place, 1)
        await do(place, asks.note, 1, urgency, due_us)
        await do(place, asks.reset_clock, START_US, drift_us, 9_000_000_000)
        assert [(1, urgency, wanted_us, 0)] == rows(place)
