"""The metrics: which series there are, from when on, and what they say when something is wrong."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tornado.ioloop import IOLoop

from plivostatusd.domain import errors
from plivostatusd.flows.ingest import UNKNOWN_PATH, _QueueFull
from plivostatusd.web.metrics import Metrics
from tests.unit.listeners import Listeners, callback, running

SEND = {"to": "+14155552323", "text": "hello world"}
Series = dict[str, float]


@pytest.fixture
def house(io_loop: IOLoop, tmp_path: Path) -> Iterator[Listeners]:
    """Both listeners, over an empty store."""
    with running(io_loop, tmp_path) as listeners:
        yield listeners


def read(text: str) -> Series:
    """Read a scrape: a value a series."""
    found = re.findall(r"^plivostatusd_(\S+) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found}


async def scrape(house: Listeners) -> Series:
    """Ask for the metrics."""
    reply = await house.api("GET", "/metrics")
    assert 200 == reply.status
    return read(reply.text)


def test_series_are_there_from_the_start() -> None:
    """Each series is there at nought before anything happened: increase() sees the first step."""
    found = read(Metrics().text().decode())
    for series in (
        'callbacks_total{status="delivered",trust="full"}',
        'callbacks_total{status="undelivered",trust="url-only"}',
        'callbacks_refused_total{reason="mismatch"}',
        'sends_total{outcome="accepted"}',
        'reconciled_total{result="failed"}',
        "last_callback_timestamp_seconds",
    ):
        assert 0 == found[series], series
    assert 0 <= time.time() - found["start_timestamp_seconds"] < 60


def test_every_reason_of_a_refusal() -> None:
    """There is a series at nought for whatever a callback can be refused for."""
    refusals = (
        errors.ReplayRefused,
        errors.UnknownRef,
        errors.CallbackUnreadable,
        errors.StoreUnavailable,
        errors.StoreDamaged,
        _QueueFull,
    )
    reasons = {str(getattr(each, "reason", each.slug)) for each in refusals}
    reasons |= {"no_signature", "malformed_nonce", "mismatch", "too_weak", "too_large"}
    reasons.add(UNKNOWN_PATH)
    text = Metrics().text().decode()
    assert reasons == set(re.findall(r'callbacks_refused_total\{reason="(.*?)"\}', text))


async def test_what_is_looked_at(house: Listeners) -> None:
    """Spool, outbox, store and disk are shown as they are at that moment."""
    await house.api("POST", "/send?wait=0", SEND)
    found = await scrape(house)
    assert (1, 1) == (
        found['messages{status="pending"}'],
        found['outbox_messages{state="pending"}'],
    )
    assert (0, 0, 0) == (found["spool_records"], found["outbox_held"], found["outbox_paused"])
    assert (1, 1) == (found["store_writable"], found["disk_reserve_bytes"])
    assert 0 < found["disk_free_bytes"]
    assert house.store_path.stat().st_size == found['store_bytes{file="store"}']
    assert 0 < found['store_bytes{file="wal"}']
    assert 0 <= found["oldest_open_message_seconds"] < 60
    await house.operator("POST", "/outbox/hold", b"")
    assert 1 == (await scrape(house))["outbox_held"]
    house.outbox._gate.pause("Plivo refuses the account (401)")
    assert 1 == (await scrape(house))["outbox_paused"]


async def test_without_a_store(house: Listeners) -> None:
    """A store that cannot be read takes its own figures away, and no other."""
    await house.deliver(callback(house))
    assert 1 == (await scrape(house))['messages{status="delivered"}']
    await house.writer.submit(lambda tx: tx.execute("ALTER TABLE tallies RENAME TO t"))
    found = await scrape(house)
    assert not [name for name in found if name.startswith(("messages{", "outbox_messages{"))]
    assert math.isnan(found["oldest_open_message_seconds"])
    assert 1 == found['callbacks_total{status="delivered",trust="full"}']
    await house.writer.submit(lambda tx: tx.execute("ALTER TABLE t RENAME TO tallies"))
    assert 1 == (await scrape(house))['messages{status="delivered"}']


@pytest.mark.allow_log("batch_failed")
async def test_while_the_store_takes_nothing(house: Listeners) -> None:
    """A store that takes no writes is told of, until it does again."""
    with house.locked_store():
        await house.api("GET", "/ready")
        assert 0 == (await scrape(house))["store_writable"]
    await house.api("GET", "/ready")
    assert 1 == (await scrape(house))["store_writable"]


async def test_without_a_folder(house: Listeners, tmp_path: Path) -> None:
    """When the disk cannot even be asked, its figures have no value."""
    house.services.store_path = tmp_path / "gone" / "status.db"
    found = await scrape(house)
    assert math.isnan(found["disk_free_bytes"])
    assert not [name for name in found if name.startswith("store_bytes")]


async def test_the_last_callback(house: Listeners) -> None:
    """When the last callback came is known from the store, and then by what comes."""
    house.metrics.last_callback_was(1_790_000_000_000_000)
    assert 1_790_000_000 == (await scrape(house))["last_callback_timestamp_seconds"]
    await house.deliver(callback(house))
    found = (await scrape(house))["last_callback_timestamp_seconds"]
    assert 0 <= time.time() - found < 60
