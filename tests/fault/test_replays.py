"""Whoever holds captured callbacks wins nothing by sending them again, whole or altered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from plivostatusd.simulator import Signed
from plivostatusd.simulator.signer import (
    V2,
    V2_HEADERS,
    V2_MAIN,
    V2_NONCE,
    V3,
    V3_HEADERS,
    V3_MAIN,
    V3_NONCE,
)
from tests.acceptance.daemon import Daemon, running
from tests.fault.store_faults import WHILE_AWAY

ANNOUNCED = ("callback_refused", "callback_unusual", "spool_entered", "batch_failed")
BARE = "/plivo/status"
ELSEWHERE = "/plivo/0123456789abcdef0123456789abcdef/status"


def bearing(request: Signed, *names: str, **changed: str) -> Signed:
    """Keep the headers called *names*, and what is no signature."""
    headers = {
        name: value
        for name, value in request.headers.items()
        if name in names or not name.startswith("X-Plivo-")
    }
    return replace(request, headers={**headers, **changed})


def at(request: Signed, path: str) -> Signed:
    """Send it to another path of the same daemon."""
    return replace(request, url=urlsplit(request.url)._replace(path=path).geturl())


def saying(request: Signed, status: str) -> Signed:
    """Put another status into it."""
    body = re.sub(rb"(^|&)Status=[a-z]+", rb"\1Status=" + status.encode(), request.body)
    assert body != request.body
    return replace(request, body=body)


def altered(request: Signed, other: Signed) -> Iterator[tuple[str, Signed, set[int]]]:
    """Give everything that can be made of two captured requests, and how each may be answered."""
    v2, v3 = request.headers[V2], request.headers[V3]
    n2, n3 = request.headers[V2_NONCE], request.headers[V3_NONCE]
    yield "whole", request, {200}
    yield "V3 stripped", bearing(request, *V2_HEADERS), {200}
    yield "V2 stripped", bearing(request, *V3_HEADERS), {200}
    yield "unsigned", bearing(request), {403}
    yield "another body", saying(request, "failed"), {403}
    yield "V3 stripped, another body", saying(bearing(request, *V2_HEADERS), "failed"), {403}
    yield "V2 stripped, another body", saying(bearing(request, *V3_HEADERS), "failed"), {403}
    path = urlsplit(request.url).path
    for place in {BARE, ELSEWHERE, urlsplit(other.url).path} - {path}:
        yield f"at {place}", at(request, place), {403}
        yield f"V2 at {place}", at(bearing(request, *V2_HEADERS), place), {403}
        yield f"V3 at {place}", at(bearing(request, *V3_HEADERS), place), {403}
    failed = saying(request, "failed")
    crossed = {
        "V3 as V2": {V2: v3, V2_NONCE: n3},
        "V2 as V3": {V3: v2, V3_NONCE: n2},
        "V2 under V3's nonce": {V2: v2, V2_NONCE: n3},
        "V3 under V2's nonce": {V3: v3, V3_NONCE: n2},
        "the other's V3 beside": {**_all(request, V2_HEADERS), **_all(other, V3_HEADERS)},
        "the other's V2 beside": {**_all(other, V2_HEADERS), **_all(request, V3_HEADERS)},
        "main's as its own": {V3: request.headers[V3_MAIN], V3_NONCE: other.headers[V3_NONCE]},
        "its own as main's": {V2_MAIN: v2, V2_NONCE: other.headers[V2_NONCE]},
        "several in one": {V2: f"{other.headers[V2]}, {v3}", V2_NONCE: n3},
    }
    for name, headers in crossed.items():
        yield f"{name}, another body", replace(failed, headers=_plain(failed) | headers), {403}


def _all(request: Signed, names: tuple[str, ...]) -> dict[str, str]:
    return {name: request.headers[name] for name in names}


def _plain(request: Signed) -> dict[str, str]:
    return {name: text for name, text in request.headers.items() if not name.startswith("X-Plivo-")}


def state(daemon: Daemon) -> tuple[list[Any], list[Any]]:
    """Give every message's row, and every event that counts."""
    columns = "row, message_uuid, current_status, error_code, status_timestamp, conflict, final"
    messages = daemon.rows(f"SELECT {columns} FROM messages ORDER BY row")  # noqa: S608 - ours
    return messages, daemon.rows("SELECT row FROM events WHERE aside IS NULL ORDER BY row")


async def test_replays(tmp_path: Path) -> None:
    """Before and after a restart, and by way of the spool, no capture changes any message."""
    async with running(tmp_path, speed=100, reconcile={"after": "0"}) as (daemon, simulator):
        daemon.allow(*ANNOUNCED, *WHILE_AWAY)
        for number in ("+14155550001", "+14155550002", "+14155550005"):
            assert 202 == (await daemon.send(number)).status
        await simulator.idle()
        captured = [
            delivery.request
            for message in simulator.messages.values()
            for delivery in message.deliveries
        ]
        bare = daemon.callback("sent", "00000000-0000-4000-8000-000000000001")
        assert 200 == (await daemon.deliver(bare)).status
        captured.append(bare)
        assert 8 <= len(captured)
        before = state(daemon)

        attempts = [
            (name, request, allowed)
            for one, other in zip(captured, [*captured[1:], captured[0]], strict=True)
            for name, request, allowed in altered(one, other)
        ]
        for is_restarted in (False, True):
            if is_restarted:
                await daemon.stop()
                await daemon.start()
            for name, request, allowed in attempts:
                status = (await daemon.deliver(request)).status
                assert status in allowed, f"{name}: {status}"
            assert before == state(daemon)

        # While nobody can look nonces up, what V2 vouches for is taken, and judged at the drain.
        daemon.forget_lines()
        with daemon.locked_store():
            for name, request, allowed in attempts:
                status = (await daemon.deliver(request)).status
                assert status in allowed | {200}, f"{name}: {status}"
        await daemon.line("spool_drained")
        assert before == state(daemon)
        disputed = daemon.rows("SELECT count(*) FROM events WHERE aside = 'disputed'")
        assert disputed > [(0,)]
        await daemon.stop()
        await daemon.start()
        for _, request, _ in attempts:
            await daemon.deliver(request)
        assert before == state(daemon)
