"""When a token was of use last, as the store has it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from plivostatusd.domain.errors import ReplayRefused
from plivostatusd.store.token_uses import TokenUse
from tests.unit.store_place import START_US, arrival, opened, uuid


async def test_a_use_is_written_with_its_callback(tmp_path: Path) -> None:
    """Each family's newest instant is kept; an older one that comes late changes nothing."""
    async with opened(tmp_path) as place:
        for family, at_us in (("V3", 5), ("V2", 3), ("V3", 4)):
            given = arrival(message_uuid=uuid(at_us), received_us=START_US + at_us)
            await place.take_in(replace(given, use=TokenUse("abcd", family)))
        await place.take_in(replace(arrival(message_uuid=uuid(9)), use=TokenUse("ef01", "V2")))
        uses = {row["key"]: row for row in await place.reader.token_uses()}
    wanted = {"key": "abcd", "v3_at": START_US + 5, "v2_at": START_US + 3}
    assert wanted == uses["abcd"]
    assert uses["ef01"]["v3_at"] is None


async def test_a_repeat_is_a_use(tmp_path: Path) -> None:
    """A repeated callback shows that the token is still in use; a replayed one shows nothing."""
    async with opened(tmp_path) as place:
        first = arrival(message_uuid=uuid(1), nonces=("nonce-0001",), trust="url-only")
        await place.take_in(first)
        await place.take_in(replace(first, use=TokenUse("abcd", "V2")))
        replayed = replace(first, digest=b"another", use=TokenUse("ef01", "V2"))
        with pytest.raises(ReplayRefused):
            await place.take_in(replayed)
        assert ["abcd"] == [row["key"] for row in await place.reader.token_uses()]
