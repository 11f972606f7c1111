"""Going along the messages: what is open is taken down, once, however often one looks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from plivostatusd.domain.asking import LAST_WORD_SENT, SILENT, Patience
from plivostatusd.store import entries, pruning, watching
from tests.unit.store_place import SECOND_US, START_US, Place, opened, submission, uuid

PATIENCE = Patience(after_us=600 * SECOND_US, silence_final_us=259_200 * SECOND_US)
ONLY_SILENCE = Patience(after_us=0, silence_final_us=259_200 * SECOND_US)
STEADY_US = 10_000 * SECOND_US
ALL = 10**9


async def do(place: Place, job: Any, *arguments: Any) -> Any:
    """Run one of the store's functions in a transaction."""
    return await place.writer.submit(lambda tx: job(tx, *arguments))


async def watch(place: Place, until_row: int = ALL, patience: Patience = PATIENCE) -> bool:
    """Go along the messages."""
    newest = await do(place, watching.newest_row)
    now_us = place.clock()
    more: bool = await do(
        place, watching.watch, min(until_row, newest), patience, now_us, STEADY_US
    )
    return more


async def claimed(place: Place) -> entries.Entry:
    """Record a send, and be on the way to Plivo."""
    await place.accept(submission())
    entry = await do(place, entries.claim, START_US, START_US)
    assert isinstance(entry, entries.Entry)
    return entry


def taken_down(place: Place) -> list[tuple[int, int, float]]:
    """Give what is taken down: message, urgency, in how many seconds."""
    rows = place.rows("SELECT message, urgency, due_at FROM asks ORDER BY message")
    return [(row, urgency, (due_us - STEADY_US) / SECOND_US) for row, urgency, due_us in rows]


async def test_what_is_open(tmp_path: Path) -> None:
    """What Plivo has and is not final is taken down, the later the shorter it has been silent."""
    async with opened(tmp_path) as place:
        for number, status in enumerate(["queued", "delivered", "sent", "brewing"], start=1):
            await place.record(message_uuid=uuid(number), status=status)
        await place.accept(submission())
        await place.record(message_uuid=None, status="sent")
        place.clock.pass_(200)
        assert not await watch(place)
        assert [(1, SILENT, 400.0), (3, LAST_WORD_SENT, 3400.0), (4, SILENT, 400.0)] == taken_down(
            place
        )


async def test_nothing_at_all(tmp_path: Path) -> None:
    """An empty store has no newest message, and nothing to take down."""
    async with opened(tmp_path) as place:
        assert 0 == await do(place, watching.newest_row)
        assert not await watch(place)
        assert [] == place.rows("SELECT * FROM facts WHERE name = 'watched'")


async def test_silent_long_since(tmp_path: Path) -> None:
    """What was silent for longer already is due at once; what Plivo has forgotten is left alone."""
    async with opened(tmp_path) as place:
        await place.record(message_uuid=uuid(1), status="queued")
        place.clock.pass_(100 * 86_400)
        await place.record(message_uuid=uuid(2), status="queued")
        place.clock.pass_(700)
        await watch(place)
        assert [(2, SILENT, 0.0)] == taken_down(place)


async def test_a_clock_set_back(tmp_path: Path) -> None:
    """A message received, by the wall clock, in the future has been silent for no time at all."""
    async with opened(tmp_path) as place:
        await place.record(message_uuid=uuid(1), status="queued")
        place.clock.pass_(-86_400)
        await watch(place)
        assert [(1, SILENT, 600.0)] == taken_down(place)


async def test_step_by_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step looks at so many rows at most, says whether there are more, and none is left out."""
    monkeypatch.setattr(watching, "ROWS_PER_STEP", 2)
    async with opened(tmp_path) as place:
        for number in range(1, 6):
            await place.record(message_uuid=uuid(number), status="queued")
        await do(place, pruning.delete_messages, 0)
        steps = []
        while await watch(place, until_row=4):
            steps.append(len(taken_down(place)))
        assert [2] == steps
        assert [1, 2, 3, 4] == [row for row, _, _ in taken_down(place)]
        assert 4 == await do(place, watching.watched)
        assert not await watch(place)
        assert 5 == len(taken_down(place))


async def test_gone_past_once(tmp_path: Path) -> None:
    """A message that was gone past is not taken down again: it was planned for by then."""
    async with opened(tmp_path) as place:
        await place.record(message_uuid=uuid(1), status="queued")
        await watch(place)
        await place.writer.submit(lambda tx: tx.execute("DELETE FROM asks"))
        await place.record(message_uuid=uuid(2), status="queued")
        await watch(place)
        assert [2] == [row for row, _, _ in taken_down(place)]


async def test_rows_are_counted_on_after_deletion(tmp_path: Path) -> None:
    """The newest message is known when it has been deleted since: numbers are never used again."""
    async with opened(tmp_path) as place:
        await place.record(message_uuid=uuid(1), status="delivered")
        await do(place, pruning.delete_messages, START_US + 1)
        assert 1 == await do(place, watching.newest_row)
        await watch(place)
        await place.record(message_uuid=uuid(2), status="queued")
        await watch(place)
        assert [2] == [row for row, _, _ in taken_down(place)]


@pytest.mark.parametrize("was_gone_past", [True, False])
async def test_settled_late(tmp_path: Path, was_gone_past: bool) -> None:
    """A send that was gone past before it was settled is caught up with; another is to be met."""
    async with opened(tmp_path) as place:
        entry = await claimed(place)
        if was_gone_past:
            await watch(place)
        await do(place, entries.settle_accepted, entry.row, uuid(1), START_US)
        due_us = place.rows("SELECT due_at FROM asks")
        assert ([0] if was_gone_past else []) == due_us
        await watch(place)
        assert [entry.row] == [row for row, _, _ in taken_down(place)]


async def test_settled_late_and_for_good(tmp_path: Path) -> None:
    """A send that ends as refused, or as delivered, is not asked about however late that was."""
    async with opened(tmp_path) as place:
        refused, found = await claimed(place), await claimed(place)
        await do(place, entries.settle_unknown, found.row, "lost", START_US, START_US)
        await watch(place)
        await do(place, entries.settle_refused, refused.row, "no", START_US)
        await place.record(message_uuid=uuid(1), status="delivered", ref=found.ref)
        assert [] == taken_down(place)


async def test_only_silence(tmp_path: Path) -> None:
    """While nobody is asked, only what may become final by silence is taken down."""
    async with opened(tmp_path) as place:
        await place.record(message_uuid=uuid(1), status="queued")
        await place.record(message_uuid=uuid(2), status="sent")
        await watch(place, patience=ONLY_SILENCE)
        assert [(2, LAST_WORD_SENT, 259_200.0)] == taken_down(place)


@pytest.mark.parametrize("rows_per_step", [1, 2_000])
async def test_asking_is_switched_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_per_step: int
) -> None:
    """What was gone past while nobody was to be asked is taken down when somebody is, each time."""
    monkeypatch.setattr(watching, "ROWS_PER_STEP", rows_per_step)
    async with opened(tmp_path) as place:
        for number in range(1, 4):
            await place.record(message_uuid=uuid(number), status="queued")
        for patience in (ONLY_SILENCE, PATIENCE) * 2:
            await place.writer.submit(lambda tx: tx.execute("DELETE FROM asks"))
            while await watch(place, patience=patience):
                assert [] == taken_down(place) or patience is PATIENCE
            assert 3 == await do(place, watching.watched)
        assert [1, 2, 3] == [row for row, _, _ in taken_down(place)]


async def test_never_backwards(tmp_path: Path) -> None:
    """Who looks less far behind the newest message does not go along those again."""
    async with opened(tmp_path) as place:
        for number in range(1, 4):
            await place.record(message_uuid=uuid(number), status="queued")
        await watch(place)
        assert not await watch(place, until_row=1, patience=ONLY_SILENCE)
        assert 3 == await do(place, watching.watched)
