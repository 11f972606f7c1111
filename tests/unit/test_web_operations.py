"""What monitoring asks for, and what an operator does by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tornado.ioloop import IOLoop

from tests.unit.listeners import Listeners, callback, running
from tests.wire import Answer

TO = "+14155552323"
SEND = {"to": TO, "text": "hello world"}


@pytest.fixture
def house(io_loop: IOLoop, tmp_path: Path) -> Iterator[Listeners]:
    """Both listeners, over an empty store."""
    with running(io_loop, tmp_path) as listeners:
        yield listeners


async def sent(house: Listeners) -> str:
    """Record a send, and give its id."""
    return str((await house.api("POST", "/send?wait=0", SEND)).json["id"])


async def ready(house: Listeners) -> tuple[int, dict[str, str]]:
    """Ask /ready; status and checks come back."""
    reply = await house.api("GET", "/ready")
    assert "text/plain; charset=utf-8" == reply.headers["Content-Type"]
    pairs = [line.split(": ", 1) for line in reply.text.splitlines()]
    return reply.status, dict(pairs)


async def test_ready(house: Listeners) -> None:
    """All well: 200, a check a line."""
    status, checks = await ready(house)
    assert 200 == status
    assert {"store writable", "outbox moving", "disk free"} <= set(checks)
    assert {"ok"} == set(checks.values())


@pytest.mark.allow_log("batch_failed")
async def test_not_ready_without_a_store(house: Listeners) -> None:
    """While the store takes nothing: 503, and the line says what is wrong."""
    with house.locked_store():
        status, checks = await ready(house)
    assert 503 == status
    assert "locked" in checks["store writable"]
    assert "ok" == checks["disk free"]
    assert 200 == (await ready(house))[0]


async def test_not_ready_on_a_full_disk(house: Listeners) -> None:
    """With less disk left than is kept back: 503."""
    house.services.free_bytes_min = 2**62
    status, checks = await ready(house)
    assert (503, "ok") == (status, checks["store writable"])
    assert "left" in checks["disk free"]


async def test_not_ready_without_a_folder(house: Listeners, tmp_path: Path) -> None:
    """When the disk cannot even be asked: 503, and no traceback."""
    house.services.store_path = tmp_path / "gone" / "status.db"
    status, checks = await ready(house)
    assert 503 == status
    assert "No such file" in checks["disk free"]


async def test_not_ready_while_held(house: Listeners) -> None:
    """While the outbox does not move: 503, and the line says why."""
    await house.operator("POST", "/outbox/hold", b"")
    status, checks = await ready(house)
    assert 503 == status
    assert "held" in checks["outbox moving"]


async def test_hold_and_release(house: Listeners) -> None:
    """Holding is remembered in the store, twice is once, and callbacks go on meanwhile."""
    for _ in range(2):
        assert {"held": True} == (await house.operator("POST", "/outbox/hold", b"")).json
    assert [("held by an operator",)] == house.rows("SELECT value FROM facts WHERE name = 'held'")
    assert 200 == (await house.deliver(callback(house))).status
    assert (await house.api("GET", "/stats")).json["outbox"]["held"]
    for _ in range(2):
        assert {"held": False} == (await house.operator("POST", "/outbox/release", b"")).json
    assert [] == house.rows("SELECT value FROM facts WHERE name = 'held'")


async def test_cancel(house: Listeners) -> None:
    """A pending message can be cancelled, once; what is past that, or not there, cannot."""
    own_id = await sent(house)
    reply = await house.operator("POST", f"/messages/{own_id}/cancel", b"")
    assert (200, "refused", True) == (reply.status, reply.json["status"], reply.json["final"])
    assert "cancelled" == reply.json["reason"]
    again = await house.operator("POST", f"/messages/{own_id}/cancel", b"")
    assert (409, "urn:plivostatusd:problem:not-cancellable") == (again.status, again.json["type"])
    unknown = await house.operator("POST", "/messages/nobody/cancel", b"")
    assert 404 == unknown.status
    await house.outbox.start()
    await house.outbox.stop(within_s=5)
    assert [] == house.simulator.requests


async def test_stats(house: Listeners) -> None:
    """Counts by status, what is open, the share that was delivered, and the outbox."""
    await sent(house)
    for index, status in enumerate(("delivered", "delivered", "failed", "sent")):
        fields = {"MessageUUID": f"0d2e4c1a-0000-4000-8000-00000000000{index}"}
        await house.deliver(callback(house, status, fields=fields))
    stats = (await house.api("GET", "/stats")).json
    assert {"delivered": 2, "failed": 1, "pending": 1, "sent": 1} == stats["messages"]
    assert (5, 2, 0.6667) == (stats["total"], stats["open"], stats["delivery_ratio"])
    waiting = {"pending": 1, "claimed": 0, "unknown": 0, "held": False, "paused": None}
    assert waiting == stats["outbox"]
    later = (await house.api("GET", "/stats?since=2100-01-01T00:00:00Z")).json
    assert ({}, 0, None) == (later["messages"], later["total"], later["delivery_ratio"])
    assert 5 == (await house.api("GET", "/stats?until=2100-01-01T00:00:00Z")).json["total"]
    for bad in ("since=soon", "per=number", "limit=0", "final=true", "carrier=x"):
        assert 400 == (await house.api("GET", f"/stats?{bad}")).status


def names_of(reply: Answer) -> dict[str, set[str]]:
    """Give each metric's name and the labels it bears."""
    found: dict[str, set[str]] = {}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? \S+$", reply.text, re.MULTILINE):
        found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    return found


@pytest.mark.allow_log("callback_refused")
async def test_metrics(house: Listeners) -> None:
    """Every metric of the contract is there, with its labels and no other."""
    await house.outbox.start()
    await house.api("POST", "/send", {**SEND, "to": "+14155550006"})
    times = {"SentTime": "2026-11-23 09:00:00", "DeliveryReportTime": "2026-11-23 09:00:02"}
    await house.deliver(callback(house, fields=times))
    await house.deliver(callback(house, token="somebody-elses"))
    reply = await house.api("GET", "/metrics")
    assert "text/plain; version=0.0.4; charset=utf-8" == reply.headers["Content-Type"]
    expected = {
        "callbacks_total": {"status", "trust"},
        "callbacks_refused_total": {"reason"},
        "callback_commit_seconds_bucket": {"le"},
        "sends_total": {"outcome"},
        "send_seconds_bucket": {"le"},
        "messages": {"status"},
        "oldest_open_message_seconds": set(),
        "delivery_seconds_bucket": {"le"},
        "last_callback_timestamp_seconds": set(),
        "outbox_messages": {"state"},
        "config_last_reload_successful": set(),
    }
    found = names_of(reply)
    assert {f"plivostatusd_{name}": labels for name, labels in expected.items()} == {
        name: found.get(name) for name in (f"plivostatusd_{each}" for each in expected)
    }
    assert "version" in found["plivostatusd_build_info"]
    assert all(name.startswith("plivostatusd_") for name in found)
    lines = reply.text.splitlines()
    assert 'plivostatusd_callbacks_total{status="delivered",trust="full"} 1.0' in lines
    assert 'plivostatusd_callbacks_refused_total{reason="mismatch"} 1.0' in lines
    assert 'plivostatusd_sends_total{outcome="accepted"} 1.0' in lines
    assert 'plivostatusd_delivery_seconds_bucket{le="2.0"} 1.0' in lines
    assert 'plivostatusd_messages{status="delivered"} 1.0' in lines


@pytest.mark.allow_log("callback_unusual")
async def test_metrics_do_not_grow(house: Listeners) -> None:
    """No number, id or unheard-of status becomes a label, whatever callbacks bring."""
    await sent(house)
    for index in range(5):
        await house.deliver(callback(house, f"strange{'xyz'[index % 3]}"))
    text = (await house.api("GET", "/metrics")).text
    for word in ("4155552323", "4155551212", "0d2e4c1a", "strange", "hello"):
        assert word not in text
    assert 'status="other",trust="full"} 5.0' in text
