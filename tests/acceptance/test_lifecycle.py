"""Restart, crash, stop and reload: nothing that was promised before is lost after."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from plivostatusd.simulator import Signed
from tests.acceptance.daemon import SENDER, Daemon, running
from tests.acceptance.silent import Silent
from tests.wire import Wire, spelt

TO = "+14155550001"
COUNT_200 = 30


async def test_restart_between(tmp_path: Path) -> None:
    """Over a restart statuses and cursors hold, and Plivo's second call brings what was missed."""
    async with running(tmp_path, speed=60) as (daemon, simulator):
        reply = await daemon.send("+14155550005")
        name = reply.json["id"]
        await daemon.until(lambda statuses: statuses.get(name) == "sent")
        cursor = (await daemon.api("GET", "/events?after=end")).json["next"]
        before = await daemon.message(name)
        await simulator.idle()
        await daemon.stop()
        uuid = before["message_uuid"]
        missed = await simulator.callback(uuid, "delivered")
        assert missed.answer is None
        await daemon.start()
        assert before == await daemon.message(name)
        assert [] == (await daemon.api("GET", f"/events?after={cursor}")).json["events"]
        again = await simulator.callback(uuid, "delivered", sequence=missed.sequence)
        assert 200 == again.answer
        (event,) = (await daemon.api("GET", f"/events?after={cursor}")).json["events"]
        assert ("delivered", name) == (event["status"], event["message_id"])


async def test_the_last_callback_is_remembered(tmp_path: Path) -> None:
    """A restart is no silence: the metric of the last callback says the same after it."""
    metric = "plivostatusd_last_callback_timestamp_seconds"
    async with running(tmp_path) as (daemon, _):
        await daemon.deliver(daemon.callback("delivered", str(uuid4())))
        told = []
        for _ in range(2):
            lines = (await daemon.api("GET", "/metrics")).text.splitlines()
            (line,) = (each for each in lines if each.startswith(f"{metric} "))
            told.append(float(line.split()[1]))
            await daemon.stop()
            await daemon.start()
        assert 0 <= told[0] - told[1] < 1


async def test_stories_over_a_restart(tmp_path: Path) -> None:
    """Messages that are under way when the daemon restarts end as if it had not."""
    async with running(tmp_path, speed=40) as (daemon, simulator):
        daemon.allow("send_unknown")
        numbers = [f"+1415556{index:02}01" for index in range(10)]
        replies = await asyncio.gather(*(daemon.send(number) for number in numbers))
        ids = {reply.json["id"] for reply in replies}
        await daemon.stop()
        await daemon.start()
        ended = dict.fromkeys(ids, "delivered")
        await daemon.until(lambda statuses: ended.items() <= statuses.items())
        await simulator.idle()
    assert sorted(numbers) == sorted(f"+{each.dst}" for each in simulator.messages.values())


async def test_crash_during_a_call(tmp_path: Path) -> None:
    """A call that was under way at a crash is unknown and never made again; a callback settles."""
    async with Silent.running() as plivo, running(tmp_path, api_url=plivo.url) as (daemon, _):
        daemon.allow("send_unknown")
        reply = await daemon.send(TO, wait="0")
        url = (await plivo.asked())["url"]
        await daemon.kill()
        await daemon.start()
        name = reply.json["id"]
        found = await daemon.message(name)
        assert ("unknown", False) == (found["status"], found["final"])
        assert found["reason"]
        uuid = str(uuid4())
        settled = await daemon.deliver(daemon.callback("delivered", uuid, urlsplit(url).path))
        assert 200 == settled.status
        found = await daemon.message(name)
        assert ("delivered", uuid) == (found["status"], found["message_uuid"])
        assert 0 == (await daemon.api("GET", "/stats")).json["outbox"]["unknown"]
    assert [TO.removeprefix("+")] == [request["dst"] for request in plivo.requests]


async def test_crash_among_sends(tmp_path: Path) -> None:
    """However a crash falls among many sends, none reaches Plivo twice, and none is forgotten."""
    async with running(tmp_path, speed=60, send={"per_second": "60"}) as (daemon, simulator):
        daemon.allow("send_unknown")
        numbers = [f"+1415555{index:02}01" for index in range(40)]
        reply = await daemon.api("POST", "/send?wait=0", {"to": numbers, "text": "hello"})
        ids = {each["id"] for each in reply.json["messages"]}
        await daemon.until(lambda statuses: "delivered" in statuses.values())
        await daemon.kill()
        await daemon.start()
        good = {"delivered", "unknown"}
        found = await daemon.until(
            lambda statuses: ids <= set(statuses) and set(statuses.values()) <= good
        )
        await simulator.idle()
        assert ids == set(found)
    taken = [f"+{message.dst}" for message in simulator.messages.values()]
    assert len(taken) == len(set(taken))
    calls = [each.dst for each in simulator.requests if each.method == "POST"]
    assert len(calls) == len(set(calls))
    assert set(numbers) - set(taken) == set() or "unknown" in found.values()


@pytest.mark.usefixtures("each_transport")
async def test_stop_answers_what_is_in_flight(tmp_path: Path) -> None:
    """A callback that waits for its commit when SIGTERM comes is committed, and answered 200."""
    async with running(tmp_path) as (daemon, _):
        uuid = str(uuid4())
        request = daemon.callback("delivered", uuid)
        async with Wire.to(daemon.public_port) as plivo, Wire.to(daemon.api_socket) as poll:
            for wire in (plivo, poll):
                assert 200 == (await wire.ask("GET", "/health")).status
            await poll.write(spelt("GET", "/events?after=end&wait=60s"))
            with daemon.locked_store():
                body, headers = request.body, request.headers
                await plivo.write(spelt("POST", request.target, body, headers))
                daemon.signal(signal.SIGTERM)
                await daemon.line("stopping")
            for reply in (await plivo.answer(), await poll.answer()):
                assert (200, "close") == (reply.status, reply.headers["Connection"])
        assert 0 == await daemon.ended()
        assert "stopped" == daemon.lines[-1]["event"]
    assert [("delivered",)] == daemon.rows("SELECT status FROM events WHERE message_uuid = ?", uuid)


async def client(daemon: Daemon, acknowledged: list[str]) -> None:
    """Report messages over one kept connection, noting each that is answered 200, until cut."""
    async with Wire.to(daemon.public_port) as wire:
        while True:
            uuid = str(uuid4())
            request: Signed = daemon.callback("delivered", uuid)
            try:
                reply = await wire.ask("POST", request.target, request.body, request.headers)
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            assert 200 == reply.status
            acknowledged.append(uuid)


async def test_stop_under_load(tmp_path: Path) -> None:
    """Every callback that was answered 200 until the very end is in the store."""
    async with running(tmp_path) as (daemon, _):
        acknowledged: list[str] = []
        clients = [asyncio.ensure_future(client(daemon, acknowledged)) for _ in range(8)]
        while len(acknowledged) < COUNT_200:
            await asyncio.wait(clients, timeout=0.01)
        daemon.signal(signal.SIGTERM)
        await asyncio.gather(*clients)
        assert 0 == await daemon.ended()
    stored = {uuid for (uuid,) in daemon.rows("SELECT message_uuid FROM events")}
    assert set(acknowledged) <= stored
    assert len(acknowledged) >= COUNT_200


async def test_stop_writes_outcomes_down(tmp_path: Path) -> None:
    """A call that is cut off by the stop is written down as unknown, in the same process."""
    async with Silent.running() as plivo:
        quick = {"timeout": "1s"}
        async with running(tmp_path, api_url=plivo.url, plivo=quick) as (daemon, _):
            waiting = asyncio.ensure_future(daemon.send(TO, wait="60s"))
            await plivo.asked()
            await daemon.stop()
            reply = await waiting
            assert (202, "pending") == (reply.status, reply.json["status"])
    assert [("unknown",)] == daemon.rows("SELECT current_status FROM messages")


async def test_second_signal_is_immediate(tmp_path: Path) -> None:
    """A second SIGTERM does not wait for what the first one waits for."""
    async with Silent.running() as plivo, running(tmp_path, api_url=plivo.url) as (daemon, _):
        daemon.allow("stopped_at_once")
        await daemon.send(TO, wait="0")
        await plivo.asked()
        daemon.signal(signal.SIGTERM)
        await daemon.line("stopping")
        daemon.signal(signal.SIGTERM)
        assert 128 + signal.SIGTERM == await daemon.ended()
    assert "stopped_at_once" == daemon.lines[-1]["event"]
    assert not any(line["event"] == "stopped" for line in daemon.lines)


async def test_interrupt_is_a_stop(tmp_path: Path) -> None:
    """Ctrl-C stops the daemon in good order, too."""
    async with running(tmp_path) as (daemon, _):
        daemon.signal(signal.SIGINT)
        assert 0 == await daemon.ended()
    assert not daemon.api_socket.exists()


A_PART_ENDS = """
import sys
from plivostatusd.__main__ import main
from plivostatusd.flows.pulse import Pulse

async def run(self):
    raise KeyError("a bug")

Pulse.run = run
sys.exit(main())
"""


async def test_a_part_ends(tmp_path: Path) -> None:
    """When a part of it ends by a bug, it stops in good order and says so, to be started again."""
    async with running(tmp_path) as (daemon, _):
        daemon.allow("story_ended")
        await daemon.stop()
        daemon.program = ["-c", A_PART_ENDS]
        await daemon.launch()
        assert 70 == await daemon.ended()
        assert "stopped" == daemon.lines[-1]["event"]
        assert any("a bug" in str(line) for line in daemon.lines)


async def reloaded(daemon: Daemon, event: str) -> dict[str, object]:
    """Have the configuration read again, and wait for what is said of it."""
    daemon.write_config()
    daemon.forget_lines()
    daemon.signal(signal.SIGHUP)
    return await daemon.line(event)


async def test_reload(tmp_path: Path) -> None:
    """SIGHUP takes over what can be changed while running, and names what cannot."""
    async with running(tmp_path) as (daemon, simulator):
        daemon.allow("callback_refused")
        other = "+14155551999"
        daemon.settings["send"]["from"] = other
        daemon.settings["callbacks"]["minimum_trust"] = "full"
        daemon.settings["store"]["path"] = str(tmp_path / "other.db")
        (tmp_path / "api_tokens").write_text("renamed another-token-0815\n")
        line = await reloaded(daemon, "config_reloaded")
        assert "send.from" in str(line["changed"])
        assert "store.path" in str(line["needs_restart"])
        assert 401 == (await daemon.api("GET", "/stats")).status
        bearer = {"Authorization": "Bearer another-token-0815"}
        send = {"to": TO, "text": "hello"}
        reply = await daemon.api("POST", "/send", send, bearer)
        assert (other, "renamed") == (reply.json["from"], reply.json["sent_by"])
        genuine = daemon.callback("sent", str(uuid4()))
        by_v2 = {name: text for name, text in genuine.headers.items() if "-V3" not in name}
        assert (
            403 == (await daemon.deliver(Signed("POST", genuine.url, by_v2, genuine.body))).status
        )
        assert 200 == (await daemon.deliver(genuine)).status
        await simulator.idle()
    assert not (tmp_path / "other.db").exists()


async def test_reload_of_a_bad_file(tmp_path: Path) -> None:
    """A bad file keeps the old settings, all of them, and says what is wrong with it."""
    async with running(tmp_path) as (daemon, simulator):
        daemon.allow("config_refused")
        metric = "plivostatusd_config_last_reload_successful"
        good = {name: dict(keys) for name, keys in daemon.settings.items()}
        daemon.settings["send"] |= {"from": "+14155551999", "wait": "soon", "wiat": "1s"}
        await reloaded(daemon, "config_refused")
        assert f"{metric} 0.0" in (await daemon.api("GET", "/metrics")).text.splitlines()
        assert SENDER == (await daemon.send(TO)).json["from"]
        daemon.settings = good
        await reloaded(daemon, "config_reloaded")
        problems = [line["problem"] for line in daemon.lines if line["event"] == "config_refused"]
        assert 2 == len(problems)
        assert all("[send]" in problem for problem in problems)
        assert f"{metric} 1.0" in (await daemon.api("GET", "/metrics")).text.splitlines()
        await simulator.idle()


async def test_new_token_is_used_at_once(tmp_path: Path) -> None:
    """A token that is replaced ends the pause that the old one led to, without a restart."""
    async with running(tmp_path) as (daemon, simulator):
        daemon.allow("outbox_paused")
        token = (tmp_path / "auth_token").read_text()
        (tmp_path / "auth_token").write_text("outdated-token\n")
        await reloaded(daemon, "config_reloaded")
        reply = await daemon.send("+14155550006")
        assert "401" in reply.json["reason"]
        assert 503 == (await daemon.api("GET", "/ready")).status
        (tmp_path / "auth_token").write_text(token)
        await reloaded(daemon, "config_reloaded")
        await daemon.line("outbox_resumed")
        name = reply.json["id"]
        await daemon.until(lambda statuses: statuses.get(name) == "queued")
        assert 200 == (await daemon.api("GET", "/ready")).status
        assert 1 == len(simulator.messages)
