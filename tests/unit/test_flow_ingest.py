"""A callback's way in, from a request signed with Plivo's SDK to the committed event."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from plivostatusd.domain.callback import Report
from plivostatusd.domain.errors import (
    BadSignature,
    CallbackUnreadable,
    ReplayRefused,
    StoreUnavailable,
    UnknownRef,
)
from plivostatusd.domain.flood import LINES_MAX
from plivostatusd.domain.signature import Key, Signed, Verifier
from plivostatusd.domain.statuses import Trust
from plivostatusd.flows.ingest import Ingest
from plivostatusd.simulator import signed_request
from plivostatusd.store import receipts
from plivostatusd.store.receipts import Recorded
from tests.logbook import Logbook
from tests.unit.store_place import Place, opened, submission, uuid

BASE, TOKEN = "https://sms.example.com", "a-token-of-the-account"
FIELDS = {
    "MessageUUID": uuid(1),
    "Status": "sent",
    "From": "14155551212",
    "To": "14155552323",
    "ErrorCode": "",
    "Sequence": "2",
}
V2_ONLY = ("x-plivo-signature-v2", "x-plivo-signature-v2-nonce")


@dataclass
class Counts:
    """What was counted, in order."""

    seen: list[str] = field(default_factory=list)

    def callback_recorded(self, recorded: Recorded, report: Report, trust: str) -> None:
        """Count a new event."""
        self.seen.append(f"recorded {report.status} {trust} {recorded.message_status}")

    def callback_repeated(self) -> None:
        """Count a repeat."""
        self.seen.append("repeated")

    def callback_refused(self, reason: str) -> None:
        """Count a refusal."""
        self.seen.append(f"refused {reason}")

    def commit_took(self, seconds: float) -> None:
        """Measure a commit."""
        assert 0 < seconds < 60
        self.seen.append("committed")


@dataclass
class Door:
    """The flow over a store, and what it counted."""

    place: Place
    ingest: Ingest
    counts: Counts

    async def receive(self, request: Signed, ref: str | None = None) -> Recorded:
        """Hand a request in, and wait for its answer."""
        return await self.ingest.receive(request, ref)


@asynccontextmanager
async def door(folder: Path, *, minimum: Trust = "url-only", **options: Any) -> AsyncIterator[Door]:
    """Open the flow."""
    async with opened(folder, **options) as place:
        verifier = Verifier([Key.of("auth_token 1", TOKEN)], [BASE], minimum=minimum)
        counts = Counts()
        ingest = Ingest(
            partial(receipts.put, place.writer), verifier, counts, queue_max=2, now_us=place.clock
        )
        yield Door(place, ingest, counts)


def request(path: str = "/plivo/status", **changes: str) -> Signed:
    """Make a callback as Plivo sends it, signed by V2 and V3."""
    made = signed_request("POST", BASE + path, {**FIELDS, **changes}, TOKEN)
    headers = {name.lower(): value for name, value in made.headers.items()}
    return Signed(made.method, path, None, headers, made.body)


def only(names: tuple[str, ...], headers: Mapping[str, str]) -> dict[str, str]:
    """Keep the headers called *names*, and the body's type."""
    return {name: headers[name] for name in (*names, "content-type") if name in headers}


async def test_a_genuine_callback(tmp_path: Path, logbook: Logbook) -> None:
    """A callback that V3 proves is committed at full trust, counted, and one line in the log."""
    async with door(tmp_path) as flow:
        recorded = await flow.receive(request())
        assert (1, "sent", ()) == (recorded.cursor, recorded.message_status, recorded.remarks)
        assert ["committed", "recorded sent full sent"] == flow.counts.seen
        (line,) = logbook.events("callback_recorded")
        wanted = {"message_id": recorded.message_id, "status": "sent", "trust": "full"}
        assert 16 == len(line["request_id"])
        wanted |= {"message_status": "sent", "request_id": line["request_id"]}
        assert {**wanted, "event_id": 1} == line


async def test_an_error_code_is_logged(tmp_path: Path, logbook: Logbook) -> None:
    """A callback that names an error has it in its line, and what it means."""
    async with door(tmp_path) as flow:
        await flow.receive(request(Status="failed", ErrorCode="420"))
        (line,) = logbook.events("callback_recorded")
        assert ("420", "message expired in Plivo's queue") == (line["error_code"], line["error"])


async def test_no_error_is_not_logged(tmp_path: Path, logbook: Logbook) -> None:
    """Plivo's code for success is no error in the log."""
    async with door(tmp_path) as flow:
        await flow.receive(request(Status="delivered", ErrorCode="000"))
        (line,) = logbook.events("callback_recorded")
        assert {"error_code", "error"}.isdisjoint(line)


async def test_what_is_kept_verbatim(tmp_path: Path) -> None:
    """Request line, signatures and body are kept as they came, so that they can be proved again."""
    async with door(tmp_path) as flow:
        given = request()
        await flow.receive(given)
        (raw,) = flow.place.rows("SELECT raw FROM events")
        head, _, body = raw.partition(b"\n\n")
        assert given.body == body
        lines = head.decode().split("\n")
        assert "POST /plivo/status" == lines[0]
        kept = dict(line.split(": ", 1) for line in lines[1:])
        assert dict(given.headers) == kept


async def test_an_exact_repeat(tmp_path: Path, logbook: Logbook) -> None:
    """The same request again is answered as well, counted as a repeat, and no event."""
    async with door(tmp_path) as flow:
        given = request()
        first = await flow.receive(given)
        again = await flow.receive(given)
        assert (first.message_id, None) == (again.message_id, again.cursor)
        assert "repeated" == flow.counts.seen[-1]
        assert 1 == len(logbook.events("callback_repeated"))


@pytest.mark.parametrize("with_ref", [False, True], ids=["bare path", "ref's path"])
@pytest.mark.expect_log("callback_refused reason='replay'")
async def test_a_captured_request_with_another_body(
    tmp_path: Path, logbook: Logbook, *, with_ref: bool
) -> None:
    """A captured request, its V3 headers stripped and its body changed, does not pass as V2."""
    async with door(tmp_path) as flow:
        sent = submission()
        await flow.place.accept(sent)
        ref = sent.intents[0].ref if with_ref else None
        path = f"/plivo/{ref}/status" if ref else "/plivo/status"
        captured = request(path)
        first = await flow.receive(captured, ref)
        forged = replace(
            captured,
            headers=only(V2_ONLY, captured.headers),
            body=captured.body.replace(b"sent", b"delivered"),
        )
        with pytest.raises(ReplayRefused):
            await flow.receive(forged, ref)
        message = await flow.place.reader.message(uuid(1))
        assert message is not None
        assert "sent" == message["current_status"]
        (line,) = logbook.events("callback_refused")
        assert first.message_id == line["message_id"]
        assert f"plivostatusctl show {first.message_id}" == line["hint"]


async def test_v2_alone(tmp_path: Path) -> None:
    """What V2 alone signs is taken at url-only."""
    async with door(tmp_path) as flow:
        given = request()
        await flow.receive(replace(given, headers=only(V2_ONLY, given.headers)))
        assert "recorded sent url-only sent" == flow.counts.seen[-1]


@pytest.mark.expect_log("callback_refused")
async def test_v2_alone_where_full_is_asked_for(tmp_path: Path) -> None:
    """What V2 alone signs is refused where the operator asks for full trust."""
    async with door(tmp_path, minimum="full") as flow:
        given = request()
        with pytest.raises(BadSignature):
            await flow.receive(replace(given, headers=only(V2_ONLY, given.headers)))
        assert ["refused too_weak"] == flow.counts.seen


@pytest.mark.expect_log("callback_refused reason='mismatch'")
async def test_a_forged_one(tmp_path: Path) -> None:
    """A body that its signature does not cover is refused before anything is stored."""
    async with door(tmp_path) as flow:
        given = request()
        headers = {n: v for n, v in given.headers.items() if "v2" not in n}
        with pytest.raises(BadSignature):
            flow.ingest.receive(replace(given, headers=headers, body=given.body + b"&x=1"), None)
        assert [] == flow.place.rows("SELECT * FROM events")
        assert ["refused mismatch"] == flow.counts.seen


async def test_unsigned(tmp_path: Path, logbook: Logbook) -> None:
    """Whoever scans the internet is refused, and disturbs nobody by it."""
    async with door(tmp_path) as flow:
        with pytest.raises(BadSignature):
            flow.ingest.receive(replace(request(), headers={}), None)
        (line,) = logbook.events("callback_refused")
        assert ("no_signature", 403) == (line["reason"], line["status"])


async def test_unsigned_and_unreadable(tmp_path: Path) -> None:
    """What nobody signed is refused as that, however bad its body."""
    async with door(tmp_path) as flow:
        with pytest.raises(BadSignature):
            flow.ingest.receive(replace(request(), headers={}, body=b"a=%ff"), None)


@pytest.mark.expect_log("callback_refused reason='unreadable'")
async def test_unreadable(tmp_path: Path) -> None:
    """A body that cannot be parsed, and for which no signature over the URL vouches, is a 400."""
    async with door(tmp_path) as flow:
        given = request()
        headers = {n: v for n, v in given.headers.items() if "v2" not in n}
        with pytest.raises(CallbackUnreadable):
            flow.ingest.receive(replace(given, headers=headers, body=b"a=%ff"), None)


@pytest.mark.expect_log("callback_unusual remark='message_unnamed'")
@pytest.mark.parametrize("body", [b"Status=%ff", b"{not json", b"[]"])
async def test_genuine_but_unreadable(tmp_path: Path, body: bytes) -> None:
    """A body that cannot be parsed is kept raw where V2 vouches for the URL."""
    async with door(tmp_path) as flow:
        given = request()
        headers = only(V2_ONLY, given.headers) | {"content-type": "application/json"}
        if not body.startswith((b"{", b"[")):
            headers["content-type"] = "application/x-www-form-urlencoded"
        recorded = await flow.receive(replace(given, headers=headers, body=body))
        assert recorded.message_id is None
        (raw,) = flow.place.rows("SELECT raw FROM events")
        assert raw.endswith(b"\n\n" + body)


async def test_nested_json(tmp_path: Path) -> None:
    """JSON that V3 cannot sign passes by V2, and what is readable of it is read."""
    async with door(tmp_path) as flow:
        given = request()
        body = json.dumps({**FIELDS, "Extra": {"nested": [1]}}).encode()
        headers = {**given.headers, "content-type": "application/json"}
        recorded = await flow.receive(replace(given, headers=headers, body=body))
        assert "sent" == recorded.message_status
        assert "recorded sent url-only sent" == flow.counts.seen[-1]


@pytest.mark.expect_log("callback_unusual remark='unknown_ref'")
@pytest.mark.expect_log("callback_refused reason='unknown_ref'")
async def test_a_ref_that_is_not_ours(tmp_path: Path) -> None:
    """On an unknown ref V3 is believed and logged, V2 is not."""
    async with door(tmp_path) as flow:
        ref = "f" * 32
        given = request(f"/plivo/{ref}/status")
        weak = replace(given, headers=only(V2_ONLY, given.headers))
        with pytest.raises(UnknownRef):
            await flow.receive(weak, ref)
        assert (await flow.receive(given, ref)).cursor == 1


@pytest.mark.expect_log("duplicate_at_plivo")
async def test_a_second_uuid_is_an_alarm(tmp_path: Path, logbook: Logbook) -> None:
    """A second UUID on one ref is an error in the log that names the message."""
    async with door(tmp_path) as flow:
        sent = submission()
        await flow.place.accept(sent)
        ref = sent.intents[0].ref
        await flow.receive(request(f"/plivo/{ref}/status"), ref)
        assert 1 == len(logbook.events("send_found"))
        await flow.receive(request(f"/plivo/{ref}/status", MessageUUID=uuid(2)), ref)
        (line,) = logbook.events("duplicate_at_plivo")
        assert sent.intents[0].id == line["message_id"]


@pytest.mark.expect_log("callback_refused reason='queue_full'")
async def test_a_bounded_queue(tmp_path: Path) -> None:
    """Past its bound the queue takes nothing more, at once; what it took is answered."""
    async with door(tmp_path) as flow:
        waiting = [flow.ingest.receive(request(), None) for _ in range(2)]
        with pytest.raises(StoreUnavailable):
            flow.ingest.receive(request(), None)
        recorded = await asyncio.gather(*waiting)
        assert [1, 2] == [each.cursor for each in recorded]
        assert 0 == flow.ingest.waiting
        await flow.receive(request())


@pytest.mark.expect_log("callback_refused reason='queue_full'")
async def test_a_full_queue_looks_at_nothing(tmp_path: Path, logbook: Logbook) -> None:
    """What comes past the bound is not even verified; all of it is counted, and a part logged."""
    async with door(tmp_path) as flow:
        waiting = [flow.ingest.receive(request(), None) for _ in range(2)]
        forged = replace(request(), body=b"forged")
        for _ in range(LINES_MAX + 5):
            with pytest.raises(StoreUnavailable):
                flow.ingest.receive(forged, None)
        assert ["refused queue_full"] * (LINES_MAX + 5) == flow.counts.seen
        assert LINES_MAX == len(logbook.events("callback_refused"))
        await asyncio.gather(*waiting)


@pytest.mark.expect_log("callback_refused reason='store-unavailable'")
@pytest.mark.allow_log("batch_failed")
async def test_a_store_that_is_locked(tmp_path: Path) -> None:
    """A callback that cannot be committed in time is refused, and counts as refused."""
    async with door(tmp_path, commit_timeout_s=0.05) as flow:
        with closing(sqlite3.connect(flow.place.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable):
                await flow.receive(request())
        assert ["refused store-unavailable"] == flow.counts.seen


async def test_a_caller_that_goes_away(tmp_path: Path) -> None:
    """A callback whose client is gone is committed all the same, and leaves the queue."""
    async with door(tmp_path) as flow:
        asyncio.ensure_future(flow.ingest.receive(request(), None)).cancel()
        await flow.place.writer.submit(lambda _: None)
        assert [1] == flow.place.rows("SELECT count(*) FROM events")
        assert 0 == flow.ingest.waiting
        assert ["committed", "recorded sent full sent"] == flow.counts.seen


async def test_a_bug_is_the_callers_to_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug while recording reaches whoever waits, and is counted neither way."""
    async with door(tmp_path) as flow:

        def record(*_: object) -> None:
            raise LookupError("a bug")

        monkeypatch.setattr("plivostatusd.store.receipts.record", record)
        with pytest.raises(LookupError):
            await flow.receive(request())
        assert [] == flow.counts.seen
        assert 0 == flow.ingest.waiting


async def test_a_new_token_verifies_at_once(tmp_path: Path) -> None:
    """The verifier may be replaced while the flow runs."""
    async with door(tmp_path) as flow:
        old = flow.ingest.verifier
        flow.ingest.verifier = Verifier([Key.of("new", "another")], [BASE], minimum="full")
        with pytest.raises(BadSignature):
            flow.ingest.receive(replace(request(), headers={}), None)
        flow.ingest.verifier = old
        await flow.receive(request())
