"""Which refused callbacks are kept, and that nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from plivostatusd.domain.errors import BadSignature
from plivostatusd.domain.signature import Signed
from plivostatusd.flows import refusals as flow
from plivostatusd.flows.refusals import Refusals
from tests.unit.listeners import callback, listening, until
from tests.unit.store_place import START_US, Place, opened, uuid

SIGNED = {"x-plivo-signature-v2": "c2lnbmF0dXJl", "x-plivo-signature-v2-nonce": "nonce-0001"}


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let refused callbacks follow each other as fast as they like."""
    monkeypatch.setattr(flow, "EVERY_S", 0.0)


def request(body: bytes | None = None, **headers: str) -> Signed:
    """Make a callback whose signature is nonsense."""
    body = f"MessageUUID={uuid(1)}&Status=sent".encode() if body is None else body
    return Signed("POST", "/plivo/status", None, {**SIGNED, **headers}, body)


async def reasons(place: Place, *taken: Callable[[], None]) -> list[str]:
    """Let some be taken, wait until the writer has done what it was given, and say what is kept."""
    for each in taken:
        each()
    await asyncio.sleep(0)
    await place.writer.submit(lambda _: None)
    return [row["reason"] for row in reversed(await place.reader.refused())]


async def test_only_what_may_be_plivos(tmp_path: Path) -> None:
    """Without a signature, or without the name of a message, nothing is kept."""
    async with opened(tmp_path) as place:
        refusals = Refusals(place.writer, now_us=place.clock)
        unsigned = Signed("POST", "/plivo/status", None, {}, request().body)
        found = await reasons(
            place,
            lambda: refusals.take(unsigned, "no_signature"),
            lambda: refusals.take(request(b"Status=sent"), "unnamed"),
            lambda: refusals.take(request(b"MessageUUID=%FF"), "unreadable"),
            lambda: refusals.take(request(b"MessageUUID=short"), "misshapen"),
            lambda: refusals.take(request(), "mismatch"),
        )
        assert ["mismatch"] == found
        (record,) = await place.reader.refused()
        assert (START_US, uuid(1)) == (record["received_at"], record["message_uuid"])


async def test_one_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a flood one is kept; what cannot be kept does not use up the second."""
    monkeypatch.setattr(flow, "EVERY_S", 60.0)
    async with opened(tmp_path) as place:
        refusals = Refusals(place.writer, now_us=place.clock)
        found = await reasons(
            place,
            lambda: refusals.take(request(b"Status=sent"), "unnamed"),
            *[lambda: refusals.take(request(), "mismatch")] * 5,
        )
        assert ["mismatch"] == found


async def test_a_busy_store_is_left_alone(tmp_path: Path) -> None:
    """While many wait for the store, a refused callback does not join them."""
    async with opened(tmp_path) as place:
        refusals = Refusals(place.writer, now_us=place.clock)
        waiting = [place.writer.submit(lambda _: None) for _ in range(flow.WAITING_MAX + 1)]
        found = await reasons(place, lambda: refusals.take(request(), "mismatch"))
        await asyncio.gather(*waiting)
        assert [] == found


async def test_a_store_that_fails_is_no_matter(tmp_path: Path) -> None:
    """Where the store takes nothing more, a refused callback is dropped without a word."""
    async with opened(tmp_path) as place:
        refusals = Refusals(place.writer, now_us=place.clock)
        await place.writer.close()
        refusals.take(request(), "mismatch")
        await asyncio.sleep(0)
        await asyncio.sleep(0)


@pytest.mark.allow_log("callback_refused")
async def test_after_the_answer(tmp_path: Path) -> None:
    """The store hears of a refused callback only when the loop turns again after its answer."""
    async with listening(tmp_path) as listeners:
        with pytest.raises(BadSignature):
            listeners.ingest.receive(request(), None)
        assert 0 == listeners.writer.waiting
        await until(lambda: listeners.rows("SELECT 1 FROM refused"))


@pytest.mark.allow_log("callback_refused")
@pytest.mark.parametrize("path", ["/plivo/status/", "/sms/plivo/status", "/status"])
async def test_a_path_that_is_not_ours(tmp_path: Path, path: str) -> None:
    """A signed callback on a path that some proxy made of ours gets 404, and is kept."""
    async with listening(tmp_path) as listeners:
        given = callback(listeners, path=path)
        assert 404 == (await listeners.deliver(given)).status
        await until(lambda: listeners.rows("SELECT 1 FROM refused"))
        ((reason, raw),) = listeners.rows("SELECT reason, raw FROM refused")
        assert "unknown_path" == reason
        assert raw.startswith(f"POST {path}\n".encode())


async def test_strangers_get_their_404(tmp_path: Path) -> None:
    """Whoever looks for paths without a signature is neither logged nor kept."""
    async with listening(tmp_path) as listeners:
        given = replace(callback(listeners, path="/wp-login.php"), headers={})
        assert 404 == (await listeners.deliver(given)).status
        await listeners.writer.submit(lambda _: None)
        assert [] == listeners.rows("SELECT 1 FROM refused")
