"""A reload under way: tokens are rotated, the house moves, and nobody is refused for it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

from plivostatusd.simulator import signed_request
from plivostatusd.simulator.options import AUTH_TOKEN
from tests.acceptance.daemon import Daemon, running
from tests.acceptance.test_lifecycle import reloaded
from tests.wire import Wire

NEW_TOKEN = "rotated-token-4711"
AT_LEAST = 40
STREAMS = 3


class Stream:
    """Callbacks that one token signs, one after the other over a connection of their own."""

    def __init__(self, daemon: Daemon, token: str) -> None:
        self.statuses: list[int] = []
        self._daemon = daemon
        self._token = token
        self._is_over = False
        self._more = asyncio.Event()
        self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        async with Wire.to(self._daemon.public_port) as wire:
            while not self._is_over:
                fields = {"MessageUUID": str(uuid4()), "Status": "sent", "To": "14155552323"}
                url = f"{self._daemon.public_url}/plivo/status"
                request = signed_request("POST", url, fields, self._token)
                reply = await wire.ask("POST", request.target, request.body, request.headers)
                self.statuses.append(reply.status)
                self._more.set()

    async def some_more(self) -> None:
        """Wait until some more have been answered."""
        wanted = len(self.statuses) + AT_LEAST
        while len(self.statuses) < wanted:
            self._more.clear()
            await self._more.wait()

    async def end(self) -> None:
        """Let the last one be answered."""
        self._is_over = True
        await self._task


def configured(daemon: Daemon, *tokens: str) -> None:
    """Write the tokens down, as an operator does."""
    (daemon.folder / "auth_token").write_text("".join(f"{token}\n" for token in tokens))


async def test_rotation_under_load(tmp_path: Path) -> None:
    """A token is replaced while both sign callbacks, old ones and new ones, and none is refused."""
    async with running(tmp_path) as (daemon, _):
        old = [Stream(daemon, AUTH_TOKEN) for _ in range(STREAMS)]
        await asyncio.gather(*(stream.some_more() for stream in old))
        configured(daemon, NEW_TOKEN, AUTH_TOKEN)
        await reloaded(daemon, "config_reloaded")
        new = [Stream(daemon, NEW_TOKEN) for _ in range(STREAMS)]
        await asyncio.gather(*(stream.some_more() for stream in (*old, *new)))
        configured(daemon, AUTH_TOKEN, NEW_TOKEN)  # Plivo's console is slow: the order is no matter
        await reloaded(daemon, "config_reloaded")
        await asyncio.gather(*(stream.some_more() for stream in (*old, *new)))
        await asyncio.gather(*(stream.end() for stream in old))
        configured(daemon, NEW_TOKEN)
        await reloaded(daemon, "config_reloaded")
        await asyncio.gather(*(stream.some_more() for stream in new))
        await asyncio.gather(*(stream.end() for stream in new))
        answers = [status for stream in (*old, *new) for status in stream.statuses]
        assert {200} == set(answers)
        assert [(len(answers),)] == daemon.rows("SELECT count(*) FROM events")
        tokens = (await daemon.operator("GET", "/tokens")).json["tokens"]
        assert [True, False] == [token["in_force"] for token in tokens]
        assert all(token["last_v3_at"] for token in tokens)


async def test_dropped_token_is_refused(tmp_path: Path) -> None:
    """Once a token is dropped, what it signs is nobody's word any more."""
    async with running(tmp_path) as (daemon, _):
        daemon.allow("callback_refused")
        assert 200 == (await daemon.deliver(daemon.callback("sent", str(uuid4())))).status
        configured(daemon, NEW_TOKEN)
        await reloaded(daemon, "config_reloaded")
        assert 403 == (await daemon.deliver(daemon.callback("sent", str(uuid4())))).status


async def test_moving_house(tmp_path: Path) -> None:
    """New messages carry the new public_url; those under way are reported by the old."""
    async with running(tmp_path, speed=2) as (daemon, simulator):
        before = (await daemon.send("+14155550001")).json["id"]
        (under_way,) = simulator.messages.values()
        old = daemon.public_url
        new = f"http://localhost:{daemon.public_port}"
        assert under_way.url.startswith(old)
        daemon.settings["callbacks"]["public_url"] = f"{new}, {old}"
        line = await reloaded(daemon, "config_reloaded")
        assert "callbacks.public_url" in str(line["changed"])
        after = (await daemon.send("+14155550001")).json["id"]
        assert under_way.url.startswith(old)
        (moved,) = (each for each in simulator.messages.values() if each is not under_way)
        assert moved.url.startswith(new)
        ended = dict.fromkeys((before, after), "delivered")
        await daemon.until(lambda statuses: ended.items() <= statuses.items())
        for name in (before, after):
            events = (await daemon.message(name))["events"]
            assert {"full"} == {each["trust"] for each in events if each["source"] == "callback"}
        await simulator.idle()


async def test_what_takes_effect(tmp_path: Path) -> None:
    """Level, pace and retention are taken over; listeners wait for a restart, and are named."""
    async with running(tmp_path, send={"per_second": "0.1"}) as (daemon, simulator):
        numbers = [f"+14155551{index:02}5" for index in range(10, 30)]
        sends = {"to": numbers, "text": "hello"}
        reply = await daemon.api("POST", "/send?wait=0", sends)
        ended = {each["id"]: "delivered" for each in reply.json["messages"]}
        assert "send_recorded" not in daemon.log
        daemon.settings["log"] = {"level": "debug"}
        daemon.settings["send"]["per_second"] = "500"
        daemon.settings["retention"] = {"text": "7d"}
        daemon.settings["callbacks"]["listen"] = "127.0.0.1:9"
        daemon.settings["api"]["listen"] = f"unix:{daemon.api_socket}"
        line = await reloaded(daemon, "config_reloaded")
        names = {"changed": line["changed"], "needs_restart": line["needs_restart"]}
        assert {
            "changed": ["send.per_second", "retention.text", "log.level"],
            "needs_restart": ["callbacks.listen", "api.listen"],
        } == names
        # At the old pace they would take three minutes.
        await daemon.until(lambda statuses: ended.items() <= statuses.items())
        await daemon.api("POST", "/send?wait=0", sends)
        await daemon.line("send_recorded")
        assert 200 == (await daemon.deliver(daemon.callback("sent", str(uuid4())))).status
        await simulator.idle()
