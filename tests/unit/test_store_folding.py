"""One message, heard of from several sides: binding, joining, duplicates, and forged names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from plivostatusd.store import entries, folding
from tests.unit.store_place import Place, opened, submission, uuid


async def claimed(place: Place, **options: Any) -> entries.Entry:
    """Record a send and claim it."""
    await place.accept(submission(now_us=place.clock(), **options))
    entry = await place.writer.submit(lambda tx: entries.claim(tx, place.clock(), place.clock()))
    assert isinstance(entry, entries.Entry)
    return entry


async def answer(place: Place, entry: entries.Entry, number: int) -> str | None:
    """Write down that Plivo took *entry* under the UUID of *number*."""
    remark: str | None = await place.writer.submit(
        lambda tx: entries.settle_accepted(tx, entry.row, uuid(number), place.clock())
    )
    return remark


async def history(place: Place, name: str) -> list[tuple[Any, Any]]:
    """Return the statuses and sources of a message's events."""
    message = await place.reader.message(name)
    assert message is not None
    events = await place.reader.events_of(message["row"])
    return [(event["status"], event["source"]) for event in events]


async def test_the_answer_before_the_callback(tmp_path: Path) -> None:
    """A callback on either path finds the message that Plivo's answer named."""
    async with opened(tmp_path) as place:
        entry = await claimed(place)
        assert await answer(place, entry, 1) is None
        for told in ({"ref": entry.ref}, {}):
            recorded = await place.record(message_uuid=uuid(1), status="sent", **told)
            assert entry.id == recorded.message_id
        assert [] == place.rows("SELECT * FROM outbox")


async def test_the_callback_before_the_answer(tmp_path: Path) -> None:
    """A callback on the ref during the call is the message's own; the answer adds to it."""
    async with opened(tmp_path) as place:
        entry = await claimed(place)
        recorded = await place.record(message_uuid=uuid(1), status="delivered", ref=entry.ref)
        assert (entry.id, ()) == (recorded.message_id, recorded.remarks)
        assert ["claimed"] == place.rows("SELECT state FROM outbox")
        assert await answer(place, entry, 1) is None
        message = await place.reader.message(entry.id)
        assert message is not None
        assert ("delivered", "queued") == (message["current_status"], message["initial_status"])
        assert [] == place.rows("SELECT * FROM outbox")


async def test_a_row_of_the_bare_path_is_joined_by_the_answer(tmp_path: Path) -> None:
    """A row that a callback made is joined to our send: our id lives, its id leads to it too."""
    async with opened(tmp_path) as place:
        entry = await claimed(place, sender=None)
        early = await place.record(message_uuid=uuid(1), status="sent", Units="3")
        assert early.message_id is not None
        assert entry.id != early.message_id
        await answer(place, entry, 1)
        for name in (entry.id, early.message_id, uuid(1)):
            message = await place.reader.message(name)
            assert message is not None
            assert (entry.id, "sent", 3) == (
                message["id"],
                message["current_status"],
                message["units"],
            )
            assert "+14155551212" == message["sender_number"]  # which a Powerpack left open
            whole = [("pending", "send"), ("sent", "callback"), ("queued", "send")]
            assert whole == await history(place, name)
        assert [1] == place.rows("SELECT count(*) FROM messages")
        later = await place.record(message_uuid=uuid(1), status="delivered")
        assert entry.id == later.message_id


async def test_a_row_of_the_bare_path_is_joined_by_a_callback(tmp_path: Path) -> None:
    """A row that the bare path made is joined when the same UUID comes on our ref."""
    async with opened(tmp_path) as place:
        early = await place.record(message_uuid=uuid(1), status="delivered")
        entry = await claimed(place)
        joined = await place.record(message_uuid=uuid(1), status="sent", ref=entry.ref)
        assert (entry.id, "delivered") == (joined.message_id, joined.message_status)
        assert early.message_id in place.rows("SELECT id FROM aliases")
        assert await answer(place, entry, 1) is None


async def test_a_second_uuid_on_one_ref(tmp_path: Path) -> None:
    """A second UUID on one ref is kept aside, flagged and remarked; it leads to the message."""
    async with opened(tmp_path) as place:
        entry = await claimed(place)
        await answer(place, entry, 1)
        for told in ({"ref": entry.ref}, {}):
            second = await place.record(message_uuid=uuid(2), status="failed", **told)
            assert (entry.id, "queued") == (second.message_id, second.message_status)
            assert ("duplicate_at_plivo",) == second.remarks
        message = await place.reader.message(uuid(2))
        assert message is not None
        assert (entry.id, 1, uuid(1)) == (
            message["id"],
            message["duplicate_at_plivo"],
            message["message_uuid"],
        )
        asides = [event["aside"] for event in await place.reader.events_of(entry.row)]
        assert [None, None, "duplicate_at_plivo", "duplicate_at_plivo"] == asides
        later = await place.record(message_uuid=uuid(1), status="sent")
        assert "sent" == later.message_status


async def test_a_second_uuid_that_is_known(tmp_path: Path) -> None:
    """A second UUID that has a row of its own keeps it; our message is flagged all the same."""
    async with opened(tmp_path) as place:
        own = await place.record(message_uuid=uuid(2), status="sent")
        entry = await claimed(place)
        await answer(place, entry, 1)
        second = await place.record(message_uuid=uuid(2), status="failed", ref=entry.ref)
        assert ("duplicate_at_plivo",) == second.remarks
        found = await place.record(message_uuid=uuid(2), status="delivered")
        assert (own.message_id, "delivered") == (found.message_id, found.message_status)


async def test_an_answer_that_names_another_uuid(tmp_path: Path) -> None:
    """When a callback came under one UUID and the answer names another, that is a duplicate."""
    async with opened(tmp_path) as place:
        entry = await claimed(place)
        await place.record(message_uuid=uuid(1), status="sent", ref=entry.ref)
        assert "duplicate_at_plivo" == await answer(place, entry, 2)
        message = await place.reader.message(entry.id)
        assert message is not None
        assert ("sent", uuid(1), 1) == (
            message["current_status"],
            message["message_uuid"],
            message["duplicate_at_plivo"],
        )
        assert [] == place.rows("SELECT * FROM outbox")


async def test_one_send_never_swallows_another(tmp_path: Path) -> None:
    """A callback on one send's ref that names another send's UUID speaks of the former alone."""
    async with opened(tmp_path) as place:
        victim, entry = await claimed(place), await claimed(place)
        await answer(place, victim, 1)
        told = await place.record(message_uuid=uuid(1), status="failed", ref=entry.ref)
        assert (entry.id, "failed") == (told.message_id, told.message_status)
        assert ("uuid_of_another",) == told.remarks
        message = await place.reader.message(uuid(1))
        assert message is not None
        assert (victim.id, "queued") == (message["id"], message["current_status"])
        assert await answer(place, entry, 2) is None


async def test_plivo_names_two_sends_alike(tmp_path: Path) -> None:
    """Should Plivo's answers give two sends one UUID, the second is queued without it."""
    async with opened(tmp_path) as place:
        first, second = await claimed(place), await claimed(place)
        await answer(place, first, 1)
        assert "uuid_of_another" == await answer(place, second, 1)
        message = await place.reader.message(second.id)
        assert message is not None
        assert ("queued", None) == (message["current_status"], message["message_uuid"])
        assert [] == place.rows("SELECT * FROM outbox")


async def test_an_alias_gives_way_to_the_answer(tmp_path: Path) -> None:
    """A UUID first heard of as another send's second one goes to the send that got it."""
    async with opened(tmp_path) as place:
        first, second = await claimed(place), await claimed(place)
        await answer(place, first, 1)
        await place.record(message_uuid=uuid(2), status="failed", ref=first.ref, trust="url-only")
        assert await answer(place, second, 2) is None
        message = await place.reader.message(uuid(2))
        assert message is not None
        assert second.id == message["id"]


async def test_a_sender_is_learnt_once(tmp_path: Path) -> None:
    """The number that Plivo chose is filled in where none was named, and is not overwritten."""
    async with opened(tmp_path) as place:
        entry = await claimed(place, sender=None)
        await place.record(message_uuid=uuid(1), ref=entry.ref, From="14155559999")
        await place.record(message_uuid=uuid(1), ref=entry.ref, From="14155558888")
        assert ["+14155559999"] == place.rows("SELECT sender_number FROM messages")


@pytest.mark.parametrize("name", ["id", "uuid", "alias"])
async def test_finding_by_any_name(tmp_path: Path, name: str) -> None:
    """Within a transaction too a message is found by our id, by Plivo's, and by an alias."""
    async with opened(tmp_path) as place:
        early = await place.record(message_uuid=uuid(1))
        entry = await claimed(place)
        await answer(place, entry, 1)
        names = {"id": entry.id, "uuid": uuid(1), "alias": early.message_id or ""}
        found = await place.writer.submit(lambda tx: folding.by_id(tx, names[name]))
        assert (entry.row, True) == (found.row, found.is_ours)
        assert await place.writer.submit(lambda tx: folding.by_id(tx, "nobody")) is None
