"""Store or spool: where a callback is kept while another program holds the store."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from plivostatusd.domain import signature
from plivostatusd.domain.errors import StoreUnavailable
from plivostatusd.domain.signature import Signed
from plivostatusd.simulator import signed_request
from plivostatusd.store import receipts, spooled
from plivostatusd.store.keep import Keep
from plivostatusd.store.receipts import Arrival, Recorded
from plivostatusd.store.spool import Section, Spool
from tests.logbook import Logbook
from tests.unit.store_place import Place, arrival, opened, uuid

pytestmark = [pytest.mark.allow_log("spool_entered"), pytest.mark.allow_log("batch_failed")]


@dataclass
class House:
    """A store, a spool beside it, and what the spool was drained of."""

    place: Place
    spool: Spool
    keep: Keep
    drained: list[Recorded] = field(default_factory=list)
    is_closed: bool = False

    async def close(self) -> None:
        """Stop, once."""
        if not self.is_closed:
            self.is_closed = True
            await self.keep.close()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the store's write lock, as another program might."""
        with closing(sqlite3.connect(self.place.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")

    async def settled(self) -> None:
        """Wait until the store has taken everything."""
        while self.keep.is_spooling:  # noqa: ASYNC110 - the daemon itself waits for no such event
            await asyncio.sleep(0.01)


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    """Open both; whoever leaves closes them in the daemon's order."""
    async with opened(folder, commit_timeout_s=0.2) as place:
        spool = Spool(folder / "spool", reserve_bytes=65_536)
        spool.open()
        told: list[Recorded] = []
        keep = Keep(place.writer, spool, drained=lambda _, recorded: told.append(recorded))
        keep.start()
        both = House(place, spool, keep, told)
        try:
            yield both
        finally:
            await both.close()


def given(
    status: str, *, nonce: str, ref: str | None = None, trust: str = "full", number: int = 1
) -> Arrival:
    """Make an arrival whose raw request says what the arrival says."""
    path = "/plivo/status" if ref is None else f"/plivo/{ref}/status"
    fields = {"MessageUUID": uuid(number), "Status": status, "To": "14155552323"}
    made = signed_request(
        "POST", f"https://sms.example.com{path}", fields, "token", nonces=(nonce, nonce)
    )
    headers = {name.lower(): value for name, value in made.headers.items()}
    request = Signed(made.method, path, None, headers, made.body)
    head = [f"POST {path}", *(f"{n}: {v}" for n, v in signature.signature_headers(headers))]
    return replace(
        arrival(message_uuid=uuid(number), status=status, ref=ref, trust=trust, nonces=[nonce]),
        digest=request.digest,
        raw="\n".join(head).encode() + b"\n\n" + request.body,
    )


def test_spelling() -> None:
    """A record in the spool says all that the arrival said."""
    for ref in (None, "a" * 32):
        told = given("sent", nonce="nonce-spelling", ref=ref, trust="url-only")
        read = spooled.unpack(spooled.pack(told))
        assert replace(told, report=read.report) == read
        assert ("sent", uuid(1)) == (read.report.status, read.report.message_uuid)


async def test_the_spool_takes_what_the_store_does_not(tmp_path: Path) -> None:
    """A callback is kept within 2 s while the store is locked, and in the store once after it."""
    async with house(tmp_path) as both:
        began_s = time.monotonic()
        with both.locked():
            first = await both.keep.put(given("queued", nonce="nonce-0001"))
            second = await both.keep.put(given("sent", nonce="nonce-0002"))
            assert time.monotonic() - began_s < 2
            assert (receipts.SPOOLED, receipts.SPOOLED) == (first, second)
            assert 2 == both.keep.records
        await both.settled()
        statuses = both.place.rows("SELECT status FROM events ORDER BY row")
        assert {"queued", "sent"} == set(statuses)
        assert ["sent"] == both.place.rows("SELECT current_status FROM messages")
        assert not list(both.spool.folder.glob("*.spool"))


async def test_a_repeat_does_not_fill_the_spool(tmp_path: Path) -> None:
    """However often a request is sent while the store is away, the spool holds it once."""
    async with house(tmp_path) as both:
        with both.locked():
            repeats = [both.keep.put(given("sent", nonce="nonce-0001")) for _ in range(3)]
            await asyncio.gather(*repeats)
            again = [both.keep.put(given("sent", nonce="nonce-0001")) for _ in range(50)]
            assert {True} == {(await each).spooled for each in again}
            assert both.keep.records <= 3
        await both.settled()
        assert [1] == both.place.rows("SELECT count(*) FROM events")


async def test_draining_twice(tmp_path: Path) -> None:
    """A file that is drained, and is there again after a crash, doubles nothing."""
    async with house(tmp_path) as both:
        with both.locked():
            await both.keep.put(given("delivered", nonce="nonce-0001"))
            (file,) = both.spool.folder.glob("*.spool")
            content = file.read_bytes()
        await both.settled()
    (tmp_path / "spool" / file.name).write_bytes(content)
    async with house(tmp_path) as both:
        assert both.keep.is_spooling
        await both.settled()
        assert [1] == both.place.rows("SELECT count(*) FROM events")
        assert [None] == [recorded.cursor for recorded in both.drained]


async def test_what_would_have_been_refused(tmp_path: Path) -> None:
    """A replay and a stranger's ref, found at the drain, are disputed and change no status."""
    async with house(tmp_path) as both:
        await both.keep.put(given("sent", nonce="nonce-0001"))
        with both.locked():
            await both.keep.put(given("failed", nonce="nonce-0001", trust="url-only"))
            await both.keep.put(
                given("failed", nonce="nonce-0002", trust="url-only", ref="b" * 32, number=2)
            )
        await both.settled()
        assert ["disputed", "disputed"] == both.place.rows(
            "SELECT aside FROM events WHERE aside IS NOT NULL"
        )
        assert ["sent"] == both.place.rows("SELECT current_status FROM messages")
        assert {("disputed",)} == {recorded.remarks for recorded in both.drained}


@pytest.mark.expect_log("spool_record_refused")
async def test_a_record_of_somebody_elses(tmp_path: Path, logbook: Logbook) -> None:
    """A record that cannot be read is put aside, and holds up no other."""
    spool = Spool(tmp_path / "spool", reserve_bytes=65_536)
    spool.open()
    spool.append([b"not ours", spooled.pack(given("sent", nonce="nonce-0001"))])
    spool.close()
    async with house(tmp_path) as both:
        await both.settled()
        assert ["sent"] == both.place.rows("SELECT status FROM events")
        (aside,) = both.spool.folder.glob("*.bad")
        assert b"not ours" == aside.read_bytes()
        assert str(aside) == logbook.events("spool_record_refused")[0]["file"]


async def test_neither(tmp_path: Path) -> None:
    """When the spool cannot hold a callback either, Plivo hears 503 in time."""
    async with house(tmp_path) as both:
        both.spool.close()
        for file in both.spool.folder.iterdir():
            file.unlink()
        both.spool.folder.rmdir()
        both.spool.folder.write_text("a file where the folder was")
        began_s = time.monotonic()
        with both.locked(), pytest.raises(StoreUnavailable, match="neither store nor spool"):
            await both.keep.put(given("sent", nonce="nonce-0001"))
        assert time.monotonic() - began_s < 2
        both.spool.folder.unlink()


async def test_a_stop_while_spooling(tmp_path: Path) -> None:
    """What is in the spool at a stop is in the store after the next start."""
    async with house(tmp_path) as both:
        with both.locked():
            await both.keep.put(given("delivered", nonce="nonce-0001"))
            await both.close()
    async with house(tmp_path) as both:
        await both.settled()
        assert ["delivered"] == both.place.rows("SELECT current_status FROM messages")


async def test_steady_load_does_not_keep_the_spool_in_use(tmp_path: Path) -> None:
    """While callbacks go on arriving, the spool is drained to its end, and none is lost."""
    async with house(tmp_path) as both:
        with both.locked():
            waiting = [both.keep.put(given("sent", nonce="nonce-before"))]
            await asyncio.gather(*waiting)
        number = itertools.count(2)
        while both.keep.is_spooling:
            each = next(number)
            waiting.append(both.keep.put(given("sent", nonce=f"nonce-{each:04}", number=each)))
            await asyncio.sleep(0.002)
        kept = await asyncio.gather(*waiting)
        assert kept[-1].spooled or kept[-1].cursor is not None
        assert [len(waiting)] == both.place.rows("SELECT count(DISTINCT message_uuid) FROM events")
        assert [len(waiting)] == both.place.rows("SELECT count(*) FROM events")


async def test_a_hanging_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the spool's disk hangs each callback hears 503 in its own time, then it goes on."""
    async with house(tmp_path) as both:
        goes_on = threading.Event()
        append = both.spool.append

        def hang(payloads: Sequence[bytes]) -> None:
            assert goes_on.wait(20)
            append(payloads)

        monkeypatch.setattr(both.spool, "append", hang)
        with both.locked():
            for number in (1, 2, 3):
                began_s = time.monotonic()
                with pytest.raises(StoreUnavailable, match="too slow"):
                    await both.keep.put(given("sent", nonce=f"nonce-{number:04}"))
                assert time.monotonic() - began_s < 2
            late = both.keep.put(given("delivered", nonce="nonce-late"))
            goes_on.set()
            assert (await late).spooled
        await both.settled()
        # The first was being written when it was given up; those behind it nobody waited for.
        assert ["delivered", "sent"] == sorted(both.place.rows("SELECT status FROM events"))


async def test_a_repeat_has_a_waiter_of_its_own(tmp_path: Path) -> None:
    """Whoever repeats a request and goes away takes nothing from whoever sent it first."""
    async with house(tmp_path) as both:
        with both.locked():
            await both.keep.put(given("queued", nonce="nonce-0001"))
            first = both.keep.put(given("sent", nonce="nonce-0002"))
            asyncio.ensure_future(both.keep.put(given("sent", nonce="nonce-0002"))).cancel()
            assert (await first).spooled
        await both.settled()


@pytest.mark.expect_log("spool_unreadable")
async def test_an_unreadable_file(
    tmp_path: Path, logbook: Logbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that cannot be read is named once, counted as not drained, and nobody waits for it."""
    monkeypatch.setattr("plivostatusd.store.keep.UNREADABLE_RETRY_S", 0.02)
    real = os.pread
    bad = set[int]()

    def fail(descriptor: int, length: int, at: int) -> bytes:
        if os.fstat(descriptor).st_ino in bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(descriptor, length, at)

    monkeypatch.setattr(os, "pread", fail)
    async with house(tmp_path) as both:
        with both.locked():
            await both.keep.put(given("queued", nonce="nonce-0001"))
            await both.keep.put(given("sent", nonce="nonce-0002"))
            (file,) = both.spool.folder.glob("*.spool")
            bad.add(file.stat().st_ino)
        await both.settled()
        assert not (await both.keep.put(given("delivered", nonce="nonce-0003"))).spooled
        await asyncio.sleep(0.1)
        assert both.keep.records
        assert 1 == len(logbook.events("spool_unreadable"))
        bad.clear()
        while both.keep.records:  # noqa: ASYNC110 - the daemon itself waits for no such event
            await asyncio.sleep(0.01)
        found = both.place.rows("SELECT status FROM events ORDER BY status")
        assert ["delivered", "queued", "sent"] == found


@pytest.mark.expect_log("spool_drain_failed")
async def test_a_spool_that_cannot_be_drained(
    tmp_path: Path, logbook: Logbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried twice a second, and what is wrong with it said once."""
    monkeypatch.setattr("plivostatusd.store.keep.RETRY_S", 0.01)
    tried = 0
    three = asyncio.Event()
    sections = Spool.sections

    def fail(spool: Spool) -> Iterator[Section]:
        nonlocal tried
        tried += 1
        if tried < 4:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        three.set()
        return sections(spool)

    monkeypatch.setattr(Spool, "sections", fail)
    async with house(tmp_path) as both:
        with both.locked():
            await both.keep.put(given("queued", nonce="nonce-0001"))
        await three.wait()
        await both.settled()
        assert 1 == len(logbook.events("spool_drain_failed"))
        assert ["queued"] == both.place.rows("SELECT status FROM events")


async def test_after_the_end(tmp_path: Path) -> None:
    """A callback that the store gives up on after the spool was closed hears so."""
    async with house(tmp_path) as both:
        with both.locked():
            late = both.keep.put(given("sent", nonce="nonce-0001"))
            await both.close()
            with pytest.raises(StoreUnavailable, match="stopping"):
                await late
