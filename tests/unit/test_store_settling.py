"""An operator's word on a send whose outcome is unknown, in the store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plivostatusd.domain.errors import LimitReached, NotUnknown, TextGone, UuidTaken
from plivostatusd.store import entries, pruning, settling
from plivostatusd.store.entries import Entry
from tests.unit.store_place import START_US, Place, opened, submission, uuid

BY = "unix:root"
AGAIN = "0192f0c8-0000-7000-8000-00000000000a"
REF = "ab" * 16


async def do(place: Place, job: Any, *arguments: Any) -> Any:
    """Run one of the store's functions in a transaction."""
    return await place.writer.submit(lambda tx: job(tx, *arguments))


async def unknown(place: Place, **options: Any) -> Entry:
    """Record a send, and lose the answer to its call."""
    await place.accept(submission(now_us=place.clock(), **options))
    entry = await do(place, entries.claim, place.clock(), place.clock())
    assert isinstance(entry, Entry)
    await do(place, entries.settle_unknown, entry.row, "lost", START_US, START_US)
    return entry


async def message(place: Place, name: str) -> dict[str, Any]:
    """Give a message's row."""
    found = await place.reader.message(name)
    assert found is not None
    return found


async def test_sent(tmp_path: Path) -> None:
    """Plivo has it, under the id that the operator found: it is queued, and says who said so."""
    async with opened(tmp_path) as place:
        entry = await unknown(place)
        assert await do(place, settling.settle_sent, entry.id, uuid(1), START_US, BY)
        found = await message(place, uuid(1))
        assert (entry.id, "queued", 0) == (found["id"], found["current_status"], found["final"])
        assert [] == place.rows("SELECT message FROM outbox")
        assert ("operator", BY) in place.rows("SELECT source, verified_by FROM events")
        with pytest.raises(NotUnknown):
            await do(place, settling.settle_not_sent, entry.id, START_US, BY)


async def test_sent_joins_what_came_before(tmp_path: Path) -> None:
    """A row that a callback on the bare path had made for the same id is the same message."""
    async with opened(tmp_path) as place:
        entry = await unknown(place)
        await place.record(message_uuid=uuid(1), status="delivered")
        await do(place, settling.settle_sent, entry.id, uuid(1), START_US, BY)
        assert [(entry.id, "delivered")] == place.rows("SELECT id, current_status FROM messages")


async def test_the_id_of_another_send(tmp_path: Path) -> None:
    """Plivo's id of another send of ours is not taken, and nothing changes."""
    async with opened(tmp_path) as place:
        first, second = await unknown(place), await unknown(place)
        await do(place, settling.settle_sent, first.id, uuid(1), START_US, BY)
        with pytest.raises(UuidTaken):
            await do(place, settling.settle_sent, second.id, uuid(1), START_US, BY)
        assert "unknown" == (await message(place, second.id))["current_status"]


async def test_not_sent(tmp_path: Path) -> None:
    """It is refused for good, and why; yet what Plivo reports later on its ref overrules that."""
    async with opened(tmp_path) as place:
        entry = await unknown(place)
        assert await do(place, settling.settle_not_sent, entry.id, START_US, BY)
        found = await message(place, entry.id)
        assert ("refused", 1) == (found["current_status"], found["final"])
        assert "not sent, says unix:root" == found["reason"]
        await place.record(message_uuid=uuid(1), status="sent", ref=entry.ref)
        assert "sent" == (await message(place, entry.id))["current_status"]


async def test_send_again(tmp_path: Path) -> None:
    """The same message under a new name and ref is pending, and both say what they are."""
    async with opened(tmp_path) as place:
        entry = await unknown(place, text="alarm", tag="t", options={"message_expiry": 60})
        terms = replace(submission(sent_by=BY), intents=())
        assert await do(place, settling.send_again, entry.id, AGAIN, REF, terms)
        first, second = await message(place, entry.id), await message(place, AGAIN)
        assert ("refused", f"sent again as {AGAIN}, says {BY}") == (
            first["current_status"],
            first["reason"],
        )
        copied = ("recipient_number", "sender_number", "message_body", "tag", "options")
        assert [first[name] for name in copied] == [second[name] for name in copied]
        assert ("pending", entry.id, BY, REF) == (
            second["current_status"],
            second["resend_of"],
            second["sent_by"],
            second["ref"],
        )
        claimed = await do(place, entries.claim, START_US, START_US)
        assert AGAIN == claimed.id


async def test_send_again_within_limits(tmp_path: Path) -> None:
    """Sending once more counts as sending does, and what is not taken leaves all as it was."""
    async with opened(tmp_path) as place:
        entry = await unknown(place)
        terms = replace(submission(sent_by=BY, per_day=1), intents=())
        with pytest.raises(LimitReached):
            await do(place, settling.send_again, entry.id, AGAIN, REF, terms)
        assert [entry.id] == place.rows("SELECT id FROM messages")
        assert "unknown" == (await message(place, entry.id))["current_status"]


async def test_send_again_without_a_text(tmp_path: Path) -> None:
    """A message whose text was blanked is not sent again without one."""
    async with opened(tmp_path) as place:
        entry = await unknown(place)
        await do(place, pruning.blank_texts, START_US + 1)
        terms = replace(submission(sent_by=BY), intents=())
        with pytest.raises(TextGone):
            await do(place, settling.send_again, entry.id, AGAIN, REF, terms)


async def test_nothing_to_settle(tmp_path: Path) -> None:
    """A pending send is nobody's to settle; one that is not there is not found."""
    async with opened(tmp_path) as place:
        (pending,) = (await place.accept(submission())).ids
        terms = replace(submission(sent_by=BY), intents=())
        for job, *arguments in (
            (settling.settle_sent, uuid(1), START_US, BY),
            (settling.settle_not_sent, START_US, BY),
            (settling.send_again, AGAIN, REF, terms),
        ):
            with pytest.raises(NotUnknown):
                await do(place, job, pending, *arguments)
            assert not await do(place, job, "nobody", *arguments)
