"""The outbox in the store: limits, keys, claims, how an entry ends, and what a start finds."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from plivostatusd.domain.errors import KeyReused, LimitReached, NotCancellable
from plivostatusd.domain.statuses import Fact
from plivostatusd.store import entries, folding, submissions
from plivostatusd.store.entries import DAY_US, Entry
from plivostatusd.store.folding import Evidence
from plivostatusd.store.submissions import Submission
from plivostatusd.store.transaction import Transaction
from tests.unit.store_place import SECOND_US, START_US, Place, opened, submission, uuid

NOON_US = 20_000 * DAY_US + DAY_US // 2
TABLES = ("messages", "events", "outbox", "figures", "tallies")
PEOPLE = tuple(f"+1415555{number:04}" for number in range(5))


async def do(place: Place, job: Any, *arguments: Any, **options: Any) -> Any:
    """Run one of the store's functions in a transaction."""
    return await place.writer.submit(lambda tx: job(tx, *arguments, **options))


async def claimed(place: Place, **options: Any) -> Entry:
    """Record a send and claim what is due first."""
    await place.accept(submission(now_us=place.clock(), **options))
    entry = await do(place, entries.claim, place.clock(), place.clock())
    assert isinstance(entry, Entry)
    return entry


async def status(place: Place, message_id: str) -> str:
    """Return a message's status."""
    message = await place.reader.message(message_id)
    assert message is not None
    return str(message["current_status"])


async def test_a_list_as_its_messages(tmp_path: Path) -> None:
    """A list is recorded as each of its messages would be alone, those that differ in text too."""
    plain = submission(to=(*PEOPLE[:3], "+4915155550001"), tag="night", options={"type": "sms"})
    other = submission(to=("Bank", "+35385555001"), text="☃ 'hi' \\\"", sender=None)
    whole = replace(plain, intents=(*plain.intents, *other.intents, plain.intents[0]))
    last = whole.intents[-1]
    again = replace(last, id=last.id[::-1], ref=last.ref[::-1])
    whole = replace(whole, intents=(*whole.intents[:-1], again))
    tables = []
    for name, lists in (
        ("list", [whole]),
        ("alone", [replace(whole, intents=(each,)) for each in whole.intents]),
    ):
        (tmp_path / name).mkdir()
        async with opened(tmp_path / name) as place:
            await place.accept(submission(to=("+14155550000",)))  # so that rows do not begin at 1
            for each in lists:
                await place.accept(each)
            tables.append([place.rows(f"SELECT * FROM {each}") for each in TABLES])  # noqa: S608 - ours
    assert tables[0][0][1:] == tables[1][0][1:]
    assert tables[0][1:] == tables[1][1:]
    assert 8 == len(tables[0][0])


async def test_a_long_list_takes_few_statements(tmp_path: Path) -> None:
    """However long a list is, it takes the same number of statements."""

    def count(transaction: Transaction, given: Submission) -> int:
        asked: list[str] = []
        execute = transaction.execute

        def note(sql: str, *arguments: Any) -> sqlite3.Cursor:
            asked.append(sql)
            return execute(sql, *arguments)

        transaction.execute = note
        submissions.accept(transaction, given)
        return len(asked)

    async with opened(tmp_path) as place:
        few = await do(place, count, submission(to=PEOPLE[:2]))
        many = [f"+1415556{number:04}" for number in range(100)]
        assert few == await do(place, count, submission(to=many))


async def test_an_intent_is_all_there(tmp_path: Path) -> None:
    """A send's message, event and entry are committed together, with all that the call needs."""
    async with opened(tmp_path) as place:
        given = submission(tag="night", text="☃ hi", options={"type": "sms", "media_urls": ["u"]})
        accepted = await place.accept(given)
        assert ((given.intents[0].id,), False, False) == (
            accepted.ids,
            accepted.is_list,
            accepted.repeated,
        )
        message = await place.reader.message(accepted.ids[0])
        assert message is not None
        wanted = {"current_status": "pending", "tag": "night", "sent_by": "cron", "final": 0}
        assert wanted == {name: message[name] for name in wanted}
        entry = await do(place, entries.claim, START_US, START_US)
        assert entry == Entry(
            row=1,
            id=accepted.ids[0],
            ref=given.intents[0].ref,
            to="+14155552323",
            sender="+14155551212",
            text="☃ hi",
            options={"type": "sms", "media_urls": ["u"]},
            sent_by="cron",
            attempt=1,
            first_tried_us=START_US,
        )


async def test_a_key_leads_to_what_is_there(tmp_path: Path) -> None:
    """The same key with the same body gives the same ids, one or many, and records nothing."""
    async with opened(tmp_path) as place:
        for to in (PEOPLE[:1], PEOPLE[:3]):
            key = f"key-{len(to)}"
            first = await place.accept(submission(to=to, key=key))
            again = await place.accept(submission(to=to, key=key))
            assert (first.ids, len(to) > 1, True) == (again.ids, again.is_list, again.repeated)
        assert [4] == place.rows("SELECT count(*) FROM messages")


async def test_a_key_belongs_to_one_body_and_one_client(tmp_path: Path) -> None:
    """A key with another body is refused; another client's key of the same name is its own."""
    async with opened(tmp_path) as place:
        first = await place.accept(submission(key="k"))
        with pytest.raises(KeyReused):
            await place.accept(submission(key="k", fingerprint=b"another body"))
        other = await place.accept(submission(key="k", sent_by="shop", fingerprint=b"another body"))
        assert first.ids != other.ids
        assert [2] == place.rows("SELECT count(*) FROM messages")


async def test_a_full_outbox(tmp_path: Path) -> None:
    """Entries of every state count against the limit; a list that does not fit is refused whole."""
    async with opened(tmp_path) as place:
        entry = await claimed(place, to=PEOPLE[:2])
        await do(place, entries.settle_unknown, entry.row, "lost", START_US, START_US)
        await do(place, entries.claim, START_US, START_US)
        assert {("unknown", 1), ("claimed", 2)} == set(
            place.rows("SELECT state, message FROM outbox")
        )
        for to in (PEOPLE[:2], PEOPLE[:3]):
            with pytest.raises(LimitReached) as caught:
                await place.accept(submission(to=to, queue_max=3))
            assert 10 == caught.value.retry_after_s
        await place.accept(submission(to=PEOPLE[:1], queue_max=3))
        assert [3] == place.rows("SELECT count(*) FROM messages")


async def test_a_day_used_up(tmp_path: Path) -> None:
    """A day's limit counts messages, names midnight UTC, and is forgotten with the day."""
    async with opened(tmp_path) as place:
        send = partial(submission, now_us=NOON_US, per_day=3)
        await place.accept(send(to=PEOPLE[:2]))
        with pytest.raises(LimitReached) as caught:
            await place.accept(send(to=PEOPLE[:2]))
        assert 43_201 == caught.value.retry_after_s
        await place.accept(send())
        with pytest.raises(LimitReached):
            await place.accept(send())
        await place.accept(submission(now_us=NOON_US))  # 0 is off, and counts
        await place.accept(submission(now_us=NOON_US + DAY_US // 2, per_day=3))
        days = place.rows("SELECT day, n FROM sends_by_day")
        assert [(20_000, 4), (20_001, 1)] == days


async def test_a_known_key_needs_no_room(tmp_path: Path) -> None:
    """A repeat is answered though every limit is reached."""
    async with opened(tmp_path) as place:
        await place.accept(submission(key="k", queue_max=1, per_day=1))
        again = await place.accept(submission(key="k", queue_max=1, per_day=1))
        assert again.repeated


async def test_claims_in_order(tmp_path: Path) -> None:
    """What is due first is claimed first, and in the order recorded where that is the same."""
    async with opened(tmp_path) as place:
        accepted = await place.accept(submission(to=PEOPLE[:3]))
        first = await do(place, entries.claim, START_US, START_US)
        assert await do(place, entries.postpone, first.row, START_US + 5)
        order = [(await do(place, entries.claim, START_US + 9, START_US + 9)).id for _ in range(3)]
        assert [*accepted.ids[1:], accepted.ids[0]] == order


async def test_nothing_is_due(tmp_path: Path) -> None:
    """Without a due entry the instant of the next one is given, or nothing."""
    async with opened(tmp_path) as place:
        assert await do(place, entries.claim, START_US, START_US) is None
        entry = await claimed(place)
        await do(place, entries.postpone, entry.row, START_US + 7)
        assert START_US + 7 == await do(place, entries.claim, START_US, START_US)


async def test_attempts_are_counted(tmp_path: Path) -> None:
    """Each claim counts; the time of the first one stays; a claim without a call counts not."""
    async with opened(tmp_path) as place:
        entry = await claimed(place)
        for _ in range(2):
            await do(place, entries.give_back, entry.row)
            assert [(0, None)] == place.rows("SELECT attempts, first_tried_at FROM outbox")
            entry = await do(place, entries.claim, START_US + 1, START_US + 1)
        assert (1, START_US + 1) == (entry.attempt, entry.first_tried_us)
        await do(place, entries.postpone, entry.row, START_US + 2)
        entry = await do(place, entries.claim, START_US + 3, START_US + 3)
        assert (2, START_US + 1) == (entry.attempt, entry.first_tried_us)
        await do(place, entries.give_back, entry.row)
        assert [(1, START_US + 1)] == place.rows("SELECT attempts, first_tried_at FROM outbox")


async def test_refused_by_plivo(tmp_path: Path) -> None:
    """A refusal is kept with Plivo's status and words, and is final."""
    async with opened(tmp_path) as place:
        entry = await claimed(place)
        refuse = partial(do, place, entries.settle_refused, entry.row, "no", START_US)
        await refuse(plivo_status=400, plivo_error="bad dst")
        message = await place.reader.message(entry.id)
        assert message is not None
        wanted = {"current_status": "refused", "reason": "no", "final": 1, "final_by": "status"}
        wanted |= {"plivo_status": 400, "plivo_error": "bad dst", "initial_status": None}
        assert wanted == {name: message[name] for name in wanted}
        assert [] == place.rows("SELECT * FROM outbox")


async def test_unknown_until_a_callback(tmp_path: Path) -> None:
    """An unknown send stays one, never due again, until a callback comes on its ref."""
    async with opened(tmp_path) as place:
        entry = await claimed(place)
        assert "unknown" == await do(
            place, entries.settle_unknown, entry.row, "lost", START_US, START_US
        )
        assert await do(place, entries.claim, START_US + DAY_US, START_US + DAY_US) is None
        recorded = await place.record(message_uuid=uuid(1), status="sent", ref=entry.ref)
        assert (("send_found",), "sent") == (recorded.remarks, recorded.message_status)
        assert [] == place.rows("SELECT * FROM outbox")


@pytest.mark.parametrize("end", ["unknown", "not sent", "given back"])
async def test_a_callback_during_the_call(tmp_path: Path, end: str) -> None:
    """A callback during the call outweighs a lost answer, and a belief that nothing was sent."""
    async with opened(tmp_path) as place:
        entry = await claimed(place)
        await place.record(message_uuid=uuid(1), status="sent", ref=entry.ref)
        if end == "unknown":
            assert "sent" == await do(
                place, entries.settle_unknown, entry.row, "lost", START_US, START_US
            )
        elif end == "not sent":
            assert not await do(place, entries.postpone, entry.row, START_US)
        else:
            assert await do(place, entries.give_back, entry.row)
        assert "sent" == await status(place, entry.id)
        assert [] == place.rows("SELECT * FROM outbox")


@pytest.mark.parametrize("end", ["unknown", "pending", "claimed"])
async def test_a_callback_that_says_little(tmp_path: Path, end: str) -> None:
    """A callback without UUID and status still proves that Plivo has the message: it is queued."""
    async with opened(tmp_path) as place:
        entry = await claimed(place)
        if end == "unknown":
            await do(place, entries.settle_unknown, entry.row, "lost", START_US, START_US)
        elif end == "pending":
            await do(place, entries.postpone, entry.row, START_US)
        recorded = await place.record(message_uuid=None, status=None, ref=entry.ref)
        if end == "claimed":
            assert () == recorded.remarks
            await do(place, entries.settle_unknown, entry.row, "lost", START_US, START_US)
        assert "queued" == await status(place, entry.id)
        assert [] == place.rows("SELECT * FROM outbox")


@pytest.mark.parametrize(
    ("end", "arguments", "state"),
    [
        (entries.settle_accepted, (uuid(1), START_US), None),
        (entries.settle_refused, ("no", START_US), None),
        (entries.settle_unknown, ("lost", START_US, START_US), "unknown"),
        (entries.postpone, (START_US + 5,), "pending"),
        (entries.give_back, (), "pending"),
    ],
    ids=["accepted", "refused", "unknown", "postponed", "given back"],
)
async def test_an_end_that_comes_twice(
    tmp_path: Path, end: Any, arguments: tuple[Any, ...], state: str | None
) -> None:
    """What ends a claim changes nothing when it is run again."""
    async with opened(tmp_path) as place:
        entry = await claimed(place)
        await do(place, end, entry.row, *arguments)
        before = [place.rows(f"SELECT * FROM {table}") for table in ("events", "outbox")]  # noqa: S608 - ours
        await do(place, end, entry.row, *arguments)
        after = [place.rows(f"SELECT * FROM {table}") for table in ("events", "outbox")]  # noqa: S608 - ours
        assert before == after
        assert ([state] if state else []) == place.rows("SELECT state FROM outbox")


async def test_cancelled(tmp_path: Path) -> None:
    """A pending message is cancelled by any of its names; afterwards there is nothing to cancel."""
    async with opened(tmp_path) as place:
        accepted = await place.accept(submission())
        assert await do(place, entries.cancel, accepted.ids[0], START_US, "root")
        message = await place.reader.message(accepted.ids[0])
        assert message is not None
        assert ("refused", "cancelled") == (message["current_status"], message["reason"])
        with pytest.raises(NotCancellable):
            await do(place, entries.cancel, accepted.ids[0], START_US, "root")
        assert not await do(place, entries.cancel, "nobody", START_US, "root")


async def test_too_late_to_cancel(tmp_path: Path) -> None:
    """What is being called, or may be with Plivo, is not cancelled."""
    async with opened(tmp_path) as place:
        entry = await claimed(place)
        with pytest.raises(NotCancellable):
            await do(place, entries.cancel, entry.id, START_US, "root")
        await do(place, entries.settle_unknown, entry.row, "lost", START_US, START_US)
        with pytest.raises(NotCancellable):
            await do(place, entries.cancel, entry.id, START_US, "root")


async def test_recover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was being called when the process ended becomes unknown, or what a callback said."""
    monkeypatch.setattr(entries, "ENTRIES_PER_JOB", 2)
    async with opened(tmp_path) as place:
        found = [await claimed(place) for _ in range(4)]
        await place.accept(submission())
        await place.record(message_uuid=uuid(1), status="delivered", ref=found[0].ref)
        batches = []
        while batch := await do(place, entries.recover, START_US, START_US):
            batches.append(len(batch))
        assert [2, 2] == batches
        statuses = [await status(place, entry.id) for entry in found]
        assert ["delivered", "unknown", "unknown", "unknown"] == statuses
        tallies = await place.reader.tallies()
        assert (3, 1, 0) == tuple(
            tallies.get(f"outbox.{state}", 0) for state in ("unknown", "pending", "claimed")
        )


async def test_expire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is pending and was recorded before the instant is refused, with the reason."""
    monkeypatch.setattr(entries, "ENTRIES_PER_JOB", 2)
    async with opened(tmp_path) as place:
        being_called = await claimed(place)
        old = [(await place.accept(submission())).ids[0] for _ in range(3)]
        young = (await place.accept(submission(now_us=START_US + 1))).ids[0]
        gone: list[str] = []
        while ids := await do(place, entries.expire, START_US + 1, "too old", START_US + 2):
            gone += ids
        assert old == gone
        wanted = [*["refused"] * 3, "pending", "pending"]
        assert wanted == [await status(place, each) for each in (*old, young, being_called.id)]
        message = await place.reader.message(old[0])
        assert message is not None
        assert "too old" == message["reason"]


async def test_the_hold_is_remembered(tmp_path: Path) -> None:
    """A hold outlives the process, with its reason, and so does its end."""
    for why in ("on a whim", "once more", None, None):
        async with opened(tmp_path) as place:
            await do(place, entries.hold, why)
        async with opened(tmp_path) as place:
            assert why == await do(place, entries.held)


async def test_withdraw(tmp_path: Path) -> None:
    """Nothing is left of a send that is taken back, so that the same key sends it anew."""
    async with opened(tmp_path) as place:
        kept = submission(now_us=NOON_US)
        void = submission(to=PEOPLE, key="k", now_us=NOON_US)
        await place.accept(kept)
        await place.accept(void)
        assert await do(place, submissions.withdraw, void)
        assert not await do(place, submissions.withdraw, void)
        assert [kept.intents[0].id] == place.rows("SELECT id FROM messages")
        assert [1] == place.rows("SELECT n FROM sends_by_day")
        again = await place.accept(submission(key="k", now_us=NOON_US))
        assert not again.repeated


async def test_a_repeat_is_not_withdrawn(tmp_path: Path) -> None:
    """Taking back a repeat, whose COMMIT failed, leaves the first send and its key in place."""
    async with opened(tmp_path) as place:
        first = await place.accept(submission(key="k"))
        repeat = submission(key="k")
        await place.accept(repeat)
        assert not await do(place, submissions.withdraw, repeat)
        again = await place.accept(submission(key="k"))
        assert (first.ids, True) == (again.ids, again.repeated)


async def test_silence(tmp_path: Path) -> None:
    """A `sent` that is final by silence is opened again by any later word of Plivo's."""
    async with opened(tmp_path) as place:
        recorded = await place.record(message_uuid=uuid(1), status="sent")
        silence = Fact(status=None, source="silence", trust="local")

        def fall_silent(transaction: Any) -> int:
            message = folding.by_uuid(transaction, uuid(1))
            return folding.add_event(transaction, message, silence, Evidence(received_us=START_US))

        await place.writer.submit(fall_silent)
        message = await place.reader.message(recorded.message_id or "")
        assert message is not None
        assert (1, "silence") == (message["final"], message["final_by"])
        place.clock.pass_(9 * SECOND_US)
        later = await place.record(message_uuid=uuid(1), status="undelivered")
        assert "undelivered" == later.message_status
