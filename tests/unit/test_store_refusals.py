"""Refused callbacks as they are kept: few, whole, not for long, and blanked on demand."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from plivostatusd.domain.signature import Signed
from plivostatusd.store import refusals
from plivostatusd.store.refusals import Refused
from plivostatusd.store.spooled import request_of
from tests.unit.store_place import START_US, Place, opened, uuid

NUMBER = "+14155552323"


def request(to: str = "14155552323", **headers: str) -> Signed:
    """Make a callback that nobody has proved."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Signed("POST", "/plivo/status", "a=b", given, f"MessageUUID={uuid(1)}&To={to}".encode())


def refused(number: int = 1, **options: str) -> Refused:
    """Make a refused callback, received *number* microseconds after the start."""
    raw = refusals.verbatim(request(**options))
    return Refused(
        received_us=START_US + number, reason="mismatch", message_uuid=uuid(number), raw=raw
    )


async def kept(place: Place, given: Refused) -> None:
    """Write one down."""
    await place.writer.submit(lambda tx: refusals.keep(tx, given))


async def test_what_is_kept_is_whole(tmp_path: Path) -> None:
    """Request line, body and every header that can tell why come back, and no others."""
    telling = {
        "x-plivo-signature-v3": "s",
        "x-plivo-signature-v3-nonce": "n",
        "host": "sms.example.com",
        "forwarded": "proto=http",
        "x-forwarded-proto": "http",
        "x-original-uri": "/sms/plivo/status",
    }
    given = request(**telling, cookie="secret", user_agent="x")
    async with opened(tmp_path) as place:
        raw = refusals.verbatim(given)
        one = Refused(received_us=1, reason="mismatch", message_uuid=uuid(1), raw=raw)
        await kept(place, one)
        (record,) = await place.reader.refused()
    back = request_of(record["raw"])
    assert telling == dict(back.headers)
    assert (given.method, given.target, given.body) == (back.method, back.target, back.body)
    assert (1, "mismatch", uuid(1)) == tuple(
        record[name] for name in ("received_at", "reason", "message_uuid")
    )


async def test_few_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the limit the oldest goes; the newest comes first."""
    monkeypatch.setattr(refusals, "KEPT_MAX", 3)
    async with opened(tmp_path) as place:
        for number in range(7):
            await kept(place, refused(number))
        numbers = [record["received_at"] - START_US for record in await place.reader.refused()]
    assert [6, 5, 4] == numbers


async def test_no_message_and_no_event(tmp_path: Path) -> None:
    """A refused callback makes neither a message nor an event, whatever it says."""
    async with opened(tmp_path) as place:
        await kept(place, refused())
        assert [0] == place.rows("SELECT count(*) FROM messages")
        assert [0] == place.rows("SELECT count(*) FROM events")


async def test_old_ones_go(tmp_path: Path) -> None:
    """What is older than its time is deleted, and nothing younger."""
    async with opened(tmp_path) as place:
        for number in (1, 2, 3):
            await kept(place, refused(number))
        await place.writer.submit(lambda tx: refusals.delete_old(tx, START_US + 2))
        assert [3, 2] == [row["received_at"] - START_US for row in await place.reader.refused()]


@pytest.mark.parametrize("spelt", ["14155552323", "%2B14155552323", "+1%20(415)%20555-2323"])
async def test_a_number_is_forgotten(tmp_path: Path, spelt: str) -> None:
    """Whoever is forgotten is gone, however the number was spelt; others stay."""
    async with opened(tmp_path) as place:
        await kept(place, refused(1, to=spelt))
        await kept(place, refused(2, to="14155559999"))
        assert 1 == await place.writer.submit(lambda tx: refusals.forget(tx, NUMBER))
        assert 0 == await place.writer.submit(lambda tx: refusals.forget(tx, NUMBER))
        other, gone = await place.reader.refused()
    assert refusals.is_blank(gone["raw"])
    assert not any(gone["raw"])
    assert "" == gone["message_uuid"]
    assert b"14155559999" in other["raw"]


async def test_forgotten_is_gone_from_the_file(tmp_path: Path) -> None:
    """No copy of a forgotten number stays in the file, whatever came and went around it."""
    source = random.Random(7)
    async with opened(tmp_path) as place:
        for number in range(600):
            to = "14155552323" if source.random() < 0.5 else "14155559999"
            one = refused(number, to=to + "&Pad=" + "x" * source.randrange(3000))
            await kept(place, one)
        await place.writer.submit(lambda tx: refusals.forget(tx, NUMBER))
    content = (tmp_path / "status.db").read_bytes()
    assert b"14155559999" in content
    assert b"14155552323" not in content
