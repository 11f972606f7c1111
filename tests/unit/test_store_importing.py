"""Rows of another program's table in the store: made once, and never before Plivo's own word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from plivostatusd.domain.imported import Imported
from plivostatusd.store import importing
from plivostatusd.store.importing import Taken
from tests.unit.store_place import START_US, Place, opened, uuid

THEN_US = START_US - 10**12


def row(number: int = 1, **changed: Any) -> Imported:
    """Make a row."""
    fields: dict[str, Any] = {
        "message_uuid": uuid(number),
        "status": "delivered",
        "to": "+14155552323",
        "sender": "+14155551212",
        "text": "hello",
        "error_code": None,
        "at_us": THEN_US + 5,
        "created_us": THEN_US,
    }
    return Imported(**fields | changed)


async def take(place: Place, *rows: Imported) -> Taken:
    """Import rows."""
    given = [(each, bytes(9) + bytes([index])) for index, each in enumerate(rows)]
    silent_us = THEN_US + 10
    taken: Taken = await place.writer.submit(
        lambda tx: importing.take(tx, given, place.clock(), silent_us, "unix:root")
    )
    return taken


async def test_new_message(tmp_path: Path) -> None:
    """A message that nobody knew began when the table says, and has one event: whose word it is."""
    async with opened(tmp_path) as place:
        assert Taken(imported=1) == await take(place, row())
        assert [
            (uuid(1), "+14155551212", "+14155552323", "hello", "delivered", THEN_US + 5, THEN_US, 1)
        ] == place.rows(
            "SELECT message_uuid, sender_number, recipient_number, message_body, current_status,"
            " status_timestamp, created_at, final FROM messages"
        )
        assert [("delivered", "operator", "local", "unix:root", place.clock())] == place.rows(
            "SELECT status, source, trust, verified_by, received_at FROM events"
        )
        assert [] == place.rows("SELECT 1 FROM outbox")


async def test_the_same_again(tmp_path: Path) -> None:
    """The same rows, imported again, change nothing."""
    async with opened(tmp_path) as place:
        rows = [row(1), row(2, status="sent"), row(3, status="failed", error_code="420")]
        assert Taken(imported=3) == await take(place, *rows)
        before = place.rows("SELECT * FROM messages"), place.rows("SELECT * FROM events")
        place.clock.pass_(60)
        assert Taken(unchanged=3) == await take(place, *rows)
        assert before == (place.rows("SELECT * FROM messages"), place.rows("SELECT * FROM events"))


async def test_what_goes_further(tmp_path: Path) -> None:
    """A known message learns what goes further than what it knows, and keeps its history."""
    async with opened(tmp_path) as place:
        await place.record(message_uuid=uuid(1), status="sent")
        assert Taken(changed=1) == await take(place, row())
        assert ["sent", "delivered"] == place.rows("SELECT status FROM events ORDER BY row")
        assert ["delivered"] == place.rows("SELECT current_status FROM messages")
        assert Taken(unchanged=1) == await take(place, row())


async def test_plivos_own_word_stands(tmp_path: Path) -> None:
    """What Plivo told us is not overruled by what another program wrote down."""
    async with opened(tmp_path) as place:
        await place.record(message_uuid=uuid(1), status="delivered")
        assert Taken(unchanged=2) == await take(
            place, row(status="failed", error_code="420"), row(status="sent")
        )
        assert [("delivered", None, 0)] == place.rows(
            "SELECT current_status, error_code, conflict FROM messages"
        )


async def test_silence(tmp_path: Path) -> None:
    """What was sent long ago is final by silence at once; what was sent lately is open."""
    async with opened(tmp_path) as place:
        rows = [
            row(1, status="sent"),
            row(2, status="sent", at_us=None),
            row(3, status="sent", at_us=START_US),
            row(4, status="queued"),
        ]
        assert Taken(imported=4) == await take(place, *rows)
        assert [("silence", 1), ("silence", 1), (None, 0), (None, 0)] == place.rows(
            "SELECT final_by, final FROM messages ORDER BY row"
        )
        assert Taken(unchanged=4) == await take(place, *rows)
        assert [6] == place.rows("SELECT count(*) FROM events")
        recorded = await place.record(message_uuid=uuid(1), status="delivered")
        assert "delivered" == recorded.message_status


async def test_plivo_goes_on(tmp_path: Path) -> None:
    """A callback for a message that was imported is folded in as any other."""
    async with opened(tmp_path) as place:
        await take(place, row(status="sent"))
        recorded = await place.record(message_uuid=uuid(1), status="delivered")
        assert "delivered" == recorded.message_status
        assert [1] == place.rows("SELECT count(*) FROM messages")
