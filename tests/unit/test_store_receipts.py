"""Recording what arrived: the replay rules, trust, and what is kept of what is not understood."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from plivostatusd.domain.errors import ReplayRefused, UnknownRef
from plivostatusd.store import nonce_runs
from plivostatusd.store.receipts import Replayed
from tests.unit.store_place import START_US, Place, opened, submission, uuid

SAME, OTHER = b"s" * 16, b"o" * 16
NONCE, FRESH = "12345678901234567890", "09876543210987654321"
EVENTS = "SELECT count(*) FROM events WHERE source = 'callback'"


async def sent(place: Place) -> str:
    """Record a send, and return its ref."""
    given = submission()
    await place.accept(given)
    return given.intents[0].ref


@pytest.fixture(params=["bare path", "ref's path"])
def on_ref(request: pytest.FixtureRequest) -> bool:
    """Run a test on both kinds of path."""
    return bool(request.param == "ref's path")


async def path_of(place: Place, *, on_ref: bool) -> dict[str, str]:
    """Return what `record` needs for one path or the other."""
    return {"ref": await sent(place)} if on_ref else {}


@pytest.mark.parametrize("trust", ["full", "url-only"])
async def test_a_repeat_is_no_event(tmp_path: Path, *, on_ref: bool, trust: str) -> None:
    """The same request with the same nonce is answered from what is there, as often as it comes."""
    async with opened(tmp_path) as place:
        path = await path_of(place, on_ref=on_ref)
        told = {"message_uuid": uuid(1), "nonces": [NONCE], "digest": SAME, "trust": trust, **path}
        first = await place.record(**told)
        assert first.cursor is not None
        for _ in range(2):
            again = await place.record(**told)
            assert again.cursor is None
            assert (first.message_id, "queued") == (again.message_id, again.message_status)
            assert () == again.remarks
        assert [1] == place.rows(EVENTS)


async def test_a_nonce_used_again_at_full(tmp_path: Path, *, on_ref: bool) -> None:
    """At full another request with a used nonce is Plivo's own doing: an event, with a remark."""
    async with opened(tmp_path) as place:
        path = await path_of(place, on_ref=on_ref)
        told = {"message_uuid": uuid(1), "nonces": [NONCE], **path}
        await place.record(digest=SAME, **told)
        second = await place.record(digest=OTHER, status="sent", **told)
        assert "nonce_reused" in second.remarks
        assert "sent" == second.message_status
        for digest in (SAME, OTHER):  # both are remembered now
            assert (await place.record(digest=digest, **told)).cursor is None
        assert [2] == place.rows(EVENTS)


async def test_a_nonce_used_again_at_url_only(tmp_path: Path, *, on_ref: bool) -> None:
    """At url-only another request with a used nonce is refused, and nothing of it is kept."""
    async with opened(tmp_path) as place:
        path = await path_of(place, on_ref=on_ref)
        told = {"message_uuid": uuid(1), "nonces": [NONCE], "trust": "url-only", **path}
        first = await place.record(digest=SAME, **told)
        before = place.rows("SELECT * FROM messages"), place.rows("SELECT * FROM nonces")
        with pytest.raises(Replayed) as caught:
            await place.record(digest=OTHER, status="delivered", **told)
        assert isinstance(caught.value, ReplayRefused)
        assert first.message_id == caught.value.message_id
        assert before == (
            place.rows("SELECT * FROM messages"),
            place.rows("SELECT * FROM nonces"),
        )
        assert [1] == place.rows(EVENTS)
        with pytest.raises(Replayed):  # and is not remembered as if it had passed
            await place.record(digest=OTHER, status="delivered", **told)


async def test_every_nonce_is_remembered(tmp_path: Path, *, on_ref: bool) -> None:
    """Of a request that V3 proved its V2 nonce is used up too, alone or beside a fresh one."""
    async with opened(tmp_path) as place:
        path = await path_of(place, on_ref=on_ref)
        await place.record(message_uuid=uuid(1), nonces=[FRESH, NONCE], digest=SAME, **path)
        for nonces in ([NONCE], [FRESH], ["fresh-nonce-1", NONCE]):
            with pytest.raises(Replayed):
                await place.record(
                    message_uuid=uuid(1), nonces=nonces, digest=OTHER, trust="url-only", **path
                )
        assert [1] == place.rows(EVENTS)


async def test_a_replay_that_names_no_message(tmp_path: Path) -> None:
    """A replay on the bare path that names no message is refused all the same."""
    async with opened(tmp_path) as place:
        await place.record(message_uuid=uuid(1), nonces=[NONCE], digest=SAME)
        with pytest.raises(Replayed) as caught:
            await place.record(message_uuid=None, nonces=[NONCE], digest=OTHER, trust="url-only")
        assert caught.value.message_id is None


async def test_a_repeat_that_names_no_message(tmp_path: Path) -> None:
    """A repeat of an event without a message is a repeat."""
    async with opened(tmp_path) as place:
        told = {"message_uuid": None, "nonces": [NONCE], "digest": SAME}
        await place.record(**told)
        again = await place.record(**told)
        assert (None, None, None) == (again.cursor, again.message_id, again.message_status)


async def test_paths_have_ledgers_of_their_own(tmp_path: Path) -> None:
    """A nonce of one message's path is fresh on another's, and on the bare one."""
    async with opened(tmp_path) as place:
        paths = [{"ref": await sent(place)}, {"ref": await sent(place)}, {}]
        for number, path in enumerate(paths):
            told = {"message_uuid": uuid(number), "digest": uuid(number)[-16:].encode()}
            recorded = await place.record(nonces=[NONCE], trust="url-only", **told, **path)
            assert "nonce_reused" not in recorded.remarks
        assert [3] == place.rows(EVENTS)
        assert [1] == place.rows("SELECT count(*) FROM nonces")


async def test_the_ledger_knows_who_verified(tmp_path: Path) -> None:
    """The bare path's nonces keep the token that verified them and the time of receipt."""
    async with opened(tmp_path) as place:
        await place.record(message_uuid=uuid(1), nonces=[NONCE], digest=SAME, key="abc")
        kept = (1, nonce_runs.entry_of(NONCE, SAME), "abc", START_US)
        assert [kept] == place.rows("SELECT * FROM nonces")


async def test_an_unknown_ref_at_full(tmp_path: Path) -> None:
    """A V3-signed callback on a ref that is not ours counts for its UUID, and a repeat is one."""
    async with opened(tmp_path) as place:
        known = await place.record(message_uuid=uuid(1))
        told = {"message_uuid": uuid(1), "ref": "f" * 32, "nonces": [NONCE], "digest": SAME}
        recorded = await place.record(status="sent", **told)
        assert ("unknown_ref",) == recorded.remarks
        assert (known.message_id, "sent") == (recorded.message_id, recorded.message_status)
        assert (await place.record(**told)).cursor is None
        new = await place.record(message_uuid=uuid(2), ref="f" * 32)
        assert new.message_id not in {None, known.message_id}


async def test_an_unknown_ref_at_url_only(tmp_path: Path) -> None:
    """Only V2 signs a callback on a ref that is not ours: refused, and nothing is kept."""
    async with opened(tmp_path) as place:
        with pytest.raises(UnknownRef):
            await place.record(message_uuid=uuid(1), ref="f" * 32, trust="url-only")
        assert [] == place.rows("SELECT * FROM events") == place.rows("SELECT * FROM nonces")


async def test_without_a_uuid(tmp_path: Path) -> None:
    """A genuine callback that names no message is kept, bytes and all, and remarked upon."""
    async with opened(tmp_path) as place:
        recorded = await place.record(message_uuid=None, status="sent")
        assert ("message_unnamed",) == recorded.remarks
        assert (None, None, 1) == (
            recorded.message_id,
            recorded.message_status,
            recorded.cursor,
        )
        ((message, status, raw),) = place.rows("SELECT message, status, raw FROM events")
        assert (None, "sent") == (message, status)
        assert raw.startswith(b"POST /plivo/status\n\n")


async def test_without_a_uuid_on_a_ref(tmp_path: Path) -> None:
    """On a message's own path the ref says which message is meant."""
    async with opened(tmp_path) as place:
        recorded = await place.record(message_uuid=None, status="sent", ref=await sent(place))
        assert ("send_found",) == recorded.remarks
        assert "sent" == recorded.message_status


async def test_without_a_status(tmp_path: Path) -> None:
    """A callback without a status is kept, and says no more than that Plivo has the message."""
    async with opened(tmp_path) as place:
        assert "queued" == (await place.record(message_uuid=uuid(1), status=None)).message_status
        await place.record(message_uuid=uuid(1), status="delivered", Sequence="3")
        later = await place.record(message_uuid=uuid(1), status=None, Sequence="4")
        assert "delivered" == later.message_status
        assert [3] == place.rows(EVENTS)


async def test_an_unknown_status(tmp_path: Path) -> None:
    """A status that nobody knows is kept in Plivo's word, between queued and sent."""
    async with opened(tmp_path) as place:
        for status, after in (("brewing", "brewing"), ("sent", "sent"), ("brewing", "sent")):
            recorded = await place.record(message_uuid=uuid(1), status=status)
            assert after == recorded.message_status
        assert {"sent": 1} == {k: n for k, n in (await place.reader.tallies()).items() if n}


async def test_what_is_kept(tmp_path: Path) -> None:
    """An event keeps what arrived and what it said; its message shows the fields of the winner."""
    async with opened(tmp_path) as place:
        place.clock.pass_(5)
        recorded = await place.record(
            message_uuid=uuid(1),
            status="undelivered",
            nonces=[NONCE, FRESH],
            digest=SAME,
            ErrorCode="30",
            Sequence="3",
            Units="2",
            TotalAmount="0.0070",
            MCC="310",
            MNC="150",
            DeliveryReportTime="2026-11-23 09:00:02.5",
        )
        (event,) = await place.reader.events_after(0, 1)
        wanted = {"cursor": recorded.cursor, "status": "undelivered", "sequence": 3}
        wanted |= {"at": 1_795_424_402_500_000, "received_at": place.clock(), "trust": "full"}
        wanted |= {"source": "callback", "error_code": "30", "reason": None, "aside": None}
        assert wanted == {name: event[name] for name in wanted}
        assert [(f"{NONCE} {FRESH}", SAME, "auth_token 1")] == place.rows(
            "SELECT nonces, digest, verified_by FROM events"
        )
        message = await place.reader.message(uuid(1))
        assert message is not None
        wanted = {"sender_number": "+14155551212", "recipient_number": "+14155552323", "units": 2}
        wanted |= {"amount": "0.0070", "mcc": "310", "mnc": "150", "error_code": "30", "final": 1}
        wanted |= {"created_at": place.clock(), "updated_at": place.clock(), "message_body": None}
        assert wanted == {name: message[name] for name in wanted}


async def test_one_batch_of_the_same_message(tmp_path: Path) -> None:
    """Callbacks of one message that share a transaction see each other."""
    async with opened(tmp_path) as place:
        words = ("queued", "delivered", "sent")
        told = [place.record(message_uuid=uuid(1), status=word) for word in words]
        recorded = await asyncio.gather(*told)
        assert 1 == place.writer.commits
        assert 1 == len({each.message_id for each in recorded})
        assert ["queued", "delivered", "delivered"] == [each.message_status for each in recorded]
