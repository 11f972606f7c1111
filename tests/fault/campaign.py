"""
A campaign under way: orders are made, blows fall, and both ends are followed until nothing is open.

Owns no judgement: `kept` and Plivo's truth are what the verdict is about.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from tests.acceptance.daemon import Daemon
from tests.fault.campaign_plan import Blow, Order, Plan
from tests.fault.campaign_plivo import PlivoProcess
from tests.fault.campaign_verdict import Kept
from tests.wire import Answer

CALLERS: Final = 4
SETTLED_S: Final = 6.0
AHEAD_MAX: Final = 1_000
SETTINGS: Final = {
    "plivo": {"concurrency": "16", "timeout": "2s"},
    "send": {"per_second": "10000"},
    # A disk that is busy with other things is not what is tried here: the spool has its own tests.
    "store": {"commit_timeout": "10s"},
    # Nobody is asked before the end: see `find_out`.
    "reconcile": {"after": "1h", "get_per_second": "1000", "list_per_minute": "100000"},
}
PASSES_MAX: Final = 30
ENDS: Final = frozenset({"send_settled", "send_postponed"})
NOT_NOW: Final = frozenset({409, 503})


class Campaign:
    """One campaign: a daemon, a Plivo, and what was drawn for them."""

    def __init__(self, plan: Plan, daemon: Daemon, plivo: PlivoProcess) -> None:
        self.plan = plan
        self.daemon = daemon
        self.plivo = plivo
        self.ids: dict[str, str] = {}
        self.asked_again = 0
        self.inferred = 0
        self._ended = 0
        self._read = 0
        self._ended_s = 0.0
        self._is_up = asyncio.Event()

    async def run(self) -> None:
        """Make every order and let every blow fall; return once nothing is open any more."""
        self._is_up.set()
        orders = iter(self.plan.orders)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(CALLERS):
                tasks.create_task(self._order_all(orders))
            tasks.create_task(self._strike_all())
        await self._nothing_open()
        await self.plivo.tell("idle")
        self._ended_s = time.monotonic()

    # Orders

    async def _order_all(self, orders: Iterator[Order]) -> None:
        """Make one order after another, not too far ahead of what is sent."""
        for order in orders:
            await self._calls_ended(len(self.ids) - AHEAD_MAX)
            answer = await self._answer_to(order)
            for to, message in zip(order.recipients, messages_in(answer), strict=True):
                assert to == message["to"]
                self.ids[to] = message["id"]

    async def _answer_to(self, order: Order) -> Answer:
        """Ask until there is an answer: under one key that is one order."""
        target, key = f"/send?wait={order.wait}", {"Idempotency-Key": order.key}
        while True:
            await self._is_up.wait()
            with suppress(OSError, EOFError):  # the daemon was stopped or killed meanwhile
                answer = await self.daemon.api("POST", target, order.fields, key)
                if answer.status not in NOT_NOW:
                    return answer
            self.asked_again += 1

    # Blows

    async def _strike_all(self) -> None:
        for blow in self.plan.blows:
            await self._calls_ended(blow.after)
            await self._strike(blow)

    async def _strike(self, blow: Blow) -> None:
        if blow.kind == "daemon stopped":
            await self._restart(kills=False)
        elif blow.kind == "daemon killed":
            await self._restart(kills=True)
        elif blow.kind == "both away":
            await self.plivo.tell("stop")
            await self._restart(kills=True)
            await self._calls_ended(self._count() + blow.lasts)
            await self.plivo.tell("start")
        elif blow.kind == "plivo away":
            await self.plivo.tell("stop")
            await self._calls_ended(self._count() + blow.lasts)
            await self.plivo.tell("start")
        else:
            await self.plivo.tell("fail", blow.kind.removeprefix("sends "))
            await self._calls_ended(self._count() + blow.lasts)
            await self.plivo.tell("mend")

    async def _restart(self, *, kills: bool) -> None:
        self._is_up.clear()
        await (self.daemon.kill() if kills else self.daemon.stop())
        await self.daemon.start()
        self._is_up.set()

    # What is waited for

    def _count(self) -> int:
        """Count the calls of Plivo that have ended, as the log tells of them."""
        fresh = self.daemon.lines[self._read :]
        self._read += len(fresh)
        self._ended += sum(line["event"] in ENDS for line in fresh)
        return self._ended

    async def _calls_ended(self, count: int) -> None:
        while self._count() < count:
            await self.daemon.news()

    async def _nothing_open(self) -> None:
        """Return once no message waits to be sent."""
        while True:
            outbox = (await self.daemon.api("GET", "/stats")).json["outbox"]
            if not outbox["pending"] + outbox["claimed"]:
                return
            await self.daemon.api("GET", "/events?after=end&wait=1s")

    # What no callback told

    async def find_out(self) -> None:
        """
        Ask Plivo's API about all that is open, until asking changes nothing any more.

        Its list is not asked about the last seconds, so what was sent in those takes a few passes.
        Nobody knows of a send before it is `reconcile.after` old that its list tells all about it,
        so that is set to just those seconds, now that all of it is to be found out at once.
        """
        await self.daemon.stop()
        self.daemon.settings["reconcile"]["after"] = f"{SETTLED_S:g}s"
        await self.daemon.start()
        results: dict[str, int] = {}
        for _ in range(PASSES_MAX):
            began_s = time.monotonic()
            reply = await self.daemon.operator("POST", "/reconcile", {})
            results = json.loads(reply.text.splitlines()[-1])["results"]
            self.inferred += results.get("inferred", 0)
            if not {"changed", "inferred", "failed"} & results.keys() and self._is_over(began_s):
                return
        raise AssertionError(f"still something new after {PASSES_MAX} passes: {results}")

    def _is_over(self, began_s: float) -> bool:
        return began_s - self._ended_s > SETTLED_S

    # What is left

    async def kept(self) -> dict[str, Kept]:
        """Ask the daemon for every message, by recipient."""
        recorded = self._recorded()
        found: dict[str, Kept] = {}
        cursor = ""
        while True:
            page = (await self.daemon.api("GET", f"/messages?limit=1000{cursor}")).json
            found |= {each["to"]: kept_of(each, recorded[each["to"]]) for each in page["messages"]}
            if page["next"] is None:
                return found
            cursor = f"&cursor={page['next']}"

    def _recorded(self) -> dict[str, set[tuple[str, int]]]:
        """Read what callbacks have said of each recipient's message."""
        recorded: dict[str, set[tuple[str, int]]] = defaultdict(set)
        for to, status, sequence in self.daemon.rows(
            "SELECT recipient_number, status, sequence FROM events"
            " JOIN messages ON messages.row = events.message WHERE source = 'callback'"
        ):
            recorded[to].add((status, sequence))
        return recorded


def messages_in(answer: Answer) -> list[dict[str, Any]]:
    """Read the messages out of any answer to an order."""
    assert answer.status in {202, 422}, answer.text
    content = answer.json
    if answer.status == 422:
        return [content["message"]]
    return list(content["messages"]) if "messages" in content else [content]


def kept_of(message: dict[str, Any], recorded: set[tuple[str, int]]) -> Kept:
    """Sum a message of the local API up."""
    return Kept(
        to=message["to"],
        status=message["status"],
        uuid=message["message_uuid"],
        error_code=message["error_code"],
        conflict=message["conflict"],
        duplicate=message["duplicate_at_plivo"],
        recorded=frozenset(recorded),
    )
