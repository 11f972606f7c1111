"""An inferred UUID gives way to proof: what came of it goes to whoever it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from plivostatusd.domain.asking import CONTESTED, DOUBTED, SILENT, Patience
from plivostatusd.domain.statuses import Fact
from plivostatusd.store import asks, entries, findings, inferring, watching
from plivostatusd.store.entries import Entry
from plivostatusd.store.findings import Answer, Moment
from tests.unit.store_place import START_US, Place, opened, submission, uuid

SILENT_US = 10**15
PATIENCE = Patience(after_us=600_000_000, silence_final_us=SILENT_US)
MOMENT = Moment(now_us=START_US, careful_us=START_US, steady_us=START_US)


def said(number: int, status: str = "sent") -> Answer:
    """Make what Plivo's API says of one message."""
    return Answer(uuid(number), Fact(status=status, source="api", trust="api"), b"{}")


@dataclass
class Lost:
    """A store, and sends in it whose answers were lost."""

    place: Place

    async def do(self, job: Any, *arguments: Any) -> Any:
        """Run one of the store's functions in a transaction."""
        return await self.place.writer.submit(lambda tx: job(tx, *arguments))

    async def claimed(self) -> Entry:
        """Record a send, and be on the way to Plivo."""
        await self.place.accept(submission())
        entry = await self.do(entries.claim, START_US, START_US)
        assert isinstance(entry, Entry)
        return entry

    async def unknown(self) -> Entry:
        """Record a send, and lose the answer to its call."""
        entry = await self.claimed()
        await self.do(entries.settle_unknown, entry.row, "lost", START_US, START_US)
        return entry

    async def inferred(self, number: int, status: str = "sent") -> Entry:
        """Record a send, lose the answer, and believe that it is the UUID of *number*."""
        entry = await self.unknown()
        answer = said(number, status)
        learnt = await self.do(inferring.infer, entry.row, answer, MOMENT)
        assert ("unknown", status) == (learnt.before, learnt.after)
        return entry

    async def on_ref(self, entry: Entry, number: int | None, status: str = "sent") -> Any:
        """Receive a callback on the path of *entry*."""
        name = None if number is None else uuid(number)
        return await self.place.record(message_uuid=name, status=status, ref=entry.ref)

    async def message(self, name: str) -> tuple[str, str | None, list[tuple[str, str]]]:
        """Give a message's status, UUID, and the statuses and sources of its events."""
        found = await self.place.reader.message(name)
        assert found is not None
        told = await self.place.reader.events_of(found["row"])
        history = [(event["status"], event["source"]) for event in told]
        return found["current_status"], found["message_uuid"], history

    def outbox(self) -> list[tuple[int, str]]:
        """Give what is not settled."""
        return self.place.rows("SELECT message, state FROM outbox ORDER BY message")


OPEN = [("pending", "send"), ("unknown", "send")]


async def test_proof_of_what_was_inferred(tmp_path: Path) -> None:
    """A callback on the ref under the inferred UUID proves it: another one is a duplicate then."""
    async with opened(tmp_path) as place:
        lost = Lost(place)
        entry = await lost.inferred(1)
        assert () == (await lost.on_ref(entry, 1)).remarks
        assert ("duplicate_at_plivo",) == (await lost.on_ref(entry, 2, "failed")).remarks
        assert ("sent", uuid(1)) == (await lost.message(entry.id))[:2]


async def test_another_uuid_on_the_ref(tmp_path: Path) -> None:
    """A callback on the ref under another UUID: what had been inferred goes to a row of its own."""
    async with opened(tmp_path) as place:
        lost = Lost(place)
        entry = await lost.inferred(1, "delivered")
        told = await lost.on_ref(entry, 2, "queued")
        assert (entry.id, "queued", ("inference_wrong",)) == (
            told.message_id,
            told.message_status,
            told.remarks,
        )
        assert ("queued", uuid(2), [*OPEN, ("queued", "callback")]) == await lost.message(entry.id)
        assert ("delivered", uuid(1), [("delivered", "inferred")]) == await lost.message(uuid(1))
        (own,) = place.rows("SELECT * FROM messages WHERE message_uuid = ?", uuid(1))
        assert [0] == place.rows("SELECT sum(duplicate_at_plivo) FROM messages")
        assert ("+14155551212", "+14155552323") == own[4:6]
        assert [] == lost.outbox()
        later = await place.record(message_uuid=uuid(1), status="read")
        assert (own[1], "read") == (later.message_id, later.message_status)


async def test_all_of_it_goes(tmp_path: Path) -> None:
    """With the UUID goes all that was said of it, by the API, on the bare path, and by silence."""
    async with opened(tmp_path) as place:
        lost = Lost(place)
        entry = await lost.inferred(1)
        await place.record(message_uuid=uuid(1), status="sent", Units="2")
        late = Moment(now_us=START_US, careful_us=START_US + SILENT_US, steady_us=START_US)
        learnt = await lost.do(findings.learn, said(1, "queued"), late, PATIENCE)
        assert learnt.is_silence
        assert ("inference_wrong",) == (await lost.on_ref(entry, 2)).remarks
        status, _, history = await lost.message(uuid(1))
        assert "sent" == status
        assert {"inferred", "callback", "api", "silence"} == {source for _, source in history}
        assert ("sent", uuid(2), [*OPEN, ("sent", "callback")]) == await lost.message(entry.id)
        finals = place.rows("SELECT final_by FROM messages ORDER BY row")
        assert [None, "silence"] == finals


async def test_the_bare_path_proves_nothing(tmp_path: Path) -> None:
    """Callbacks on the bare path speak of a UUID, not of the send to which it was ascribed."""
    async with opened(tmp_path) as place:
        lost = Lost(place)
        entry = await lost.inferred(1)
        for status in ("sent", "delivered"):
            found = await place.record(message_uuid=uuid(1), status=status)
            assert entry.id == found.message_id
        assert ("inference_wrong",) == (await lost.on_ref(entry, 2)).remarks
        assert ("sent", uuid(2)) == (await lost.message(entry.id))[:2]
        assert ("delivered", uuid(1)) == (await lost.message(uuid(1)))[:2]


async def test_a_forged_name_unbinds_nothing(tmp_path: Path) -> None:
    """A UUID that is proven to be another send's is no reason to let go of the inferred one."""
    async with opened(tmp_path) as place:
        lost = Lost(place)
        entry, other = await lost.inferred(1), await lost.claimed()
        await lost.do(entries.settle_accepted, other.row, uuid(2), START_US)
        assert ("uuid_of_another",) == (await lost.on_ref(entry, 2)).remarks
        assert uuid(1) == (await lost.message(entry.id))[1]
        assert ("queued", uuid(2)) == (await lost.message(other.id))[:2]


@pytest.mark.parametrize("proof", ["callback", "answer"])
async def test_it_is_anothers(tmp_path: Path, proof: str) -> None:
    """Proof that a UUID is one send's takes it from the other, which is open and unknown again."""
    async with opened(tmp_path) as place:
        lost = Lost(place)
        wrong = await lost.inferred(1, "delivered")
        right = await (lost.claimed() if proof == "answer" else lost.unknown())
        if proof == "callback":
            told = await lost.on_ref(right, 1)
            assert (right.id, "delivered", ("inference_wrong", "send_found")) == (
                told.message_id,
                told.message_status,
                told.remarks,
            )
        else:
            remark = await lost.do(entries.settle_accepted, right.row, uuid(1), START_US)
            assert "inference_wrong" == remark
        assert ("delivered", uuid(1)) == (await lost.message(right.id))[:2]
        assert ("unknown", None, OPEN) == await lost.message(wrong.id)
        assert [(wrong.row, "unknown")] == lost.outbox()
        (due,) = await lost.do(inferring.unknown_due, START_US + 1, 9)
        assert (wrong.row, START_US) == (due.row, due.called_us)
        again = await lost.do(inferring.infer, wrong.row, said(3, "sent"), MOMENT)
        assert (wrong.id, "sent") == (again.message_id, again.after)


async def test_both_were_wrong(tmp_path: Path) -> None:
    """A send that gives one inferred UUID up for another's has that, and nothing else is lost."""
    async with opened(tmp_path) as place:
        lost = Lost(place)
        first, second = await lost.inferred(1, "failed"), await lost.inferred(2, "delivered")
        assert ("inference_wrong",) == (await lost.on_ref(first, 2)).remarks
        assert ("delivered", uuid(2)) == (await lost.message(first.id))[:2]
        assert ("unknown", None, OPEN) == await lost.message(second.id)
        assert ("failed", uuid(1), [("failed", "inferred")]) == await lost.message(uuid(1))
        assert [(second.row, "unknown")] == lost.outbox()


async def test_what_was_called_back_is_not_open_again(tmp_path: Path) -> None:
    """A send that loses an inferred UUID, and on whose ref Plivo called, is not looked for."""
    async with opened(tmp_path) as place:
        lost = Lost(place)
        wrong, right = await lost.inferred(1), await lost.unknown()
        await lost.on_ref(wrong, None, "sent")
        await lost.on_ref(right, 1)
        assert ("sent", None) == (await lost.message(wrong.id))[:2]
        assert [] == lost.outbox()


async def test_let_go_and_still_open(tmp_path: Path) -> None:
    """Both messages that an inference has kept apart wrongly are asked about if they stay open."""
    async with opened(tmp_path) as place:
        lost = Lost(place)
        entry = await lost.inferred(1, "sent")
        newest = await lost.do(watching.newest_row)
        await lost.do(watching.watch, newest, PATIENCE, START_US, START_US)
        await lost.on_ref(entry, 2, "queued")
        own = place.rows("SELECT row FROM messages WHERE message_uuid = ?", uuid(1))
        assert [entry.row, *own] == place.rows("SELECT message FROM asks ORDER BY message")


@pytest.mark.parametrize(
    ("statuses", "urgency"), [(["delivered", "failed"], CONTESTED), (["delivered"], DOUBTED)]
)
async def test_let_go_in_doubt(tmp_path: Path, statuses: list[str], urgency: int) -> None:
    """A UUID whose outcome is contested or doubted is asked about in its row of its own, too."""
    async with opened(tmp_path) as place:
        lost = Lost(place)
        entry = await lost.inferred(1)
        for status in statuses:
            await place.record_doubtful(message_uuid=uuid(1), status=status)
        await lost.on_ref(entry, 2, "delivered")
        (own,) = place.rows("SELECT row FROM messages WHERE message_uuid = ?", uuid(1))
        assert [urgency] == place.rows("SELECT urgency FROM asks WHERE message = ?", own)


async def test_doubt_outlives_a_join(tmp_path: Path) -> None:
    """What was to be asked about a row of the bare path is asked about the send that it is."""
    async with opened(tmp_path) as place:
        lost = Lost(place)
        entry = await lost.claimed()
        await place.record_doubtful(message_uuid=uuid(1), status="delivered")
        await lost.do(entries.settle_accepted, entry.row, uuid(1), START_US)
        rows = place.rows("SELECT message, urgency, due_at FROM asks")
        assert [(entry.row, DOUBTED, asks.AT_ONCE)] == rows


async def test_a_silent_row_is_joined(tmp_path: Path) -> None:
    """A row that was silent, and is one with a send whose outcome is known, is not asked about."""
    async with opened(tmp_path) as place:
        lost = Lost(place)
        entry = await lost.claimed()
        early = await place.record(message_uuid=uuid(1), status="sent")
        assert early.message_id is not None
        await lost.on_ref(entry, None, "delivered")
        await lost.do(asks.note, entry.row + 1, SILENT)
        await lost.on_ref(entry, 1, "sent")
        assert [] == place.rows("SELECT message FROM asks")


async def test_free(tmp_path: Path) -> None:
    """A UUID that any message has, be it as a second one, is nobody's to be inferred."""
    async with opened(tmp_path) as place:
        lost = Lost(place)
        entry, unknown = await lost.claimed(), await lost.unknown()
        await lost.do(entries.settle_accepted, entry.row, uuid(1), START_US)
        await lost.on_ref(entry, 2)
        await place.record(message_uuid=uuid(3), status="sent")
        for number in (1, 2, 3):
            assert await lost.do(inferring.infer, unknown.row, said(number), MOMENT) is None
        assert "unknown" == (await lost.message(unknown.id))[0]
