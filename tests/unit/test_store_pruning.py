"""Retention: what is forgotten is gone from the file, and what is still needed stays."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from plivostatusd.store import entries, pruning
from plivostatusd.store.entries import DAY_US
from tests.unit.store_place import START_US, Place, opened, submission, uuid

LATER_US = START_US + 10


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a step end early, so that every test takes several."""
    monkeypatch.setattr(pruning, "ROWS_PER_STEP", 3)


async def all_steps(place: Place, step: Callable[..., bool], *arguments: Any) -> int:
    """Repeat a step while it says that there is more; how often that was."""
    steps = 1
    while await place.writer.submit(lambda tx: step(tx, *arguments)):
        steps += 1
    return steps


async def settled(place: Place, **options: Any) -> str:
    """Record a send that Plivo refuses, and return its id."""
    (message_id,) = (await place.accept(submission(**options))).ids
    entry = await place.writer.submit(lambda tx: entries.claim(tx, LATER_US, LATER_US))
    refuse = partial(entries.settle_refused, row=entry.row, reason="no", now_us=LATER_US)
    words = f"bad {options.get('text')}"
    await place.writer.submit(partial(refuse, plivo_status=400, plivo_error=words))
    return message_id


async def test_texts_are_blanked(tmp_path: Path) -> None:
    """Old texts go, with Plivo's words about them; young ones and unsettled sends keep theirs."""
    async with opened(tmp_path) as place:
        old = [await settled(place, text=f"old {number}") for number in range(7)]
        young = await settled(place, text="young", now_us=LATER_US)
        unsettled = (await place.accept(submission(text="unsettled"))).ids[0]
        assert 3 == await all_steps(place, pruning.blank_texts, LATER_US)
        texts = dict(place.rows("SELECT id, message_body FROM messages"))
        assert {**dict.fromkeys(old), young: "young", unsettled: "unsettled"} == texts
        errors = place.rows("SELECT plivo_error FROM messages WHERE plivo_error IS NOT NULL")
        assert ["bad young"] == errors


async def test_a_text_is_blanked_once_it_is_settled(tmp_path: Path) -> None:
    """A send that was not settled at one round loses its text at the next."""
    async with opened(tmp_path) as place:
        late = (await place.accept(submission(text="late"))).ids[0]
        await all_steps(place, pruning.blank_texts, LATER_US)
        await place.writer.submit(lambda tx: entries.cancel(tx, late, LATER_US, "root"))
        await all_steps(place, pruning.blank_texts, LATER_US)
        assert [None] == place.rows("SELECT message_body FROM messages")


async def test_blanked_texts_are_gone_from_the_file(tmp_path: Path, chance: random.Random) -> None:
    """After a checkpoint no byte of a blanked text is anywhere in the file, however rows moved."""
    async with opened(tmp_path) as place:
        refs = []
        for number in range(200):
            given = submission(text=f"SECRET{'x' * chance.randrange(1500)}{number}")
            await place.accept(given)
            refs.append(given.intents[0].ref)
        chance.shuffle(refs)
        for word in ("queued", "sent", "delivered"):  # rows grow, and pages are split
            for number, ref in enumerate(refs):
                sizes = {"TotalAmount": "0.0070", "MCC": "310", "MNC": "150", "ErrorCode": "000"}
                await place.record(message_uuid=uuid(number), status=word, ref=ref, **sizes)
        assert b"SECRET" in _bytes(place.path) + _bytes(Path(f"{place.path}-wal"))
        await all_steps(place, pruning.blank_texts, LATER_US)
    assert b"SECRET" not in _bytes(place.path)


async def test_messages_are_deleted(tmp_path: Path) -> None:
    """Old messages go with their events and aliases; young ones and unsettled sends stay."""
    async with opened(tmp_path) as place:
        for number in range(7):
            await place.record(message_uuid=uuid(number), status="sent")
        await _joined(place, uuid(50))
        young = await settled(place, now_us=LATER_US)
        unsettled = (await place.accept(submission())).ids[0]
        assert 3 == await all_steps(place, pruning.delete_messages, LATER_US)
        assert {unsettled, young} == set(place.rows("SELECT id FROM messages"))
        assert [0] == place.rows("SELECT count(*) FROM aliases")
        assert [3] == place.rows("SELECT count(*) FROM events")
    assert b"5558888" not in _bytes(place.path)  # long enough not to be there by chance


async def test_unnamed_events_are_deleted(tmp_path: Path) -> None:
    """Old events that name no message go; young ones, and those of messages, stay."""
    async with opened(tmp_path) as place:
        await place.record(message_uuid=uuid(1))
        for _ in range(4):
            await place.record(message_uuid=None)
        place.clock.us = LATER_US
        await place.record(message_uuid=None)
        assert 2 == await all_steps(place, pruning.delete_unnamed_events, LATER_US)
        assert [1, 6] == place.rows("SELECT row FROM events ORDER BY row")


async def test_keys_are_deleted(tmp_path: Path) -> None:
    """Idempotency-Keys live 48 hours, and the counts of days as long as they are asked for."""
    async with opened(tmp_path) as place:
        for number in range(4):
            await place.accept(submission(key=f"old {number}"))
        now_us = START_US + 2 * DAY_US + 1
        await place.accept(submission(key="young", now_us=START_US + 1))
        await place.accept(submission(now_us=now_us + DAY_US))
        assert 2 == await all_steps(place, pruning.delete_keys, now_us)
        assert ["young"] == place.rows("SELECT key FROM idempotency")
        assert 2 == len(place.rows("SELECT day FROM sends_by_day"))
        await all_steps(place, pruning.delete_keys, now_us + DAY_US)
        assert 1 == len(place.rows("SELECT day FROM sends_by_day"))


async def _joined(place: Place, message_uuid: str) -> None:
    """Make a message with an alias."""
    await place.record(message_uuid=message_uuid, From="14155558888")
    given = submission()
    await place.accept(given)
    await place.record(message_uuid=message_uuid, ref=given.intents[0].ref, From="14155558888")


def _bytes(path: Path) -> bytes:
    return path.read_bytes()
