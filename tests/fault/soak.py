"""
kill -9, again and again, under load: nothing answered 200 is lost, and nothing is doubled.

    python -m tests.fault.soak ROUNDS [SEED]        (make soak ROUNDS=... SEED=...)

Each round starts the real daemon on the same store, reports messages to it and has it send some,
and kills it at a moment of chance: while it starts, under load, while another process holds its
store, while it drains the spool. Between rounds nothing is repaired. What every round must leave
true is looked at after each; what only the end can show, at the end.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from plivostatusd.simulator import Options, Signed, Simulator
from tests.acceptance.daemon import Daemon
from tests.unit.store_place import audit

CLIENTS = 4
LOAD_S = 0.35
LOCKED_SHARE = 0.2
EARLY_SHARE = 0.15
REPEAT_SHARE = 0.1
GONE = (ConnectionError, asyncio.IncompleteReadError, TimeoutError)
ANNOUNCED = ("spool_", "batch_failed", "send_unknown", "callback_unusual", "callback_refused")


@dataclass
class Told:
    """What the daemon has told anybody: what it answered 200, and which sends it has taken."""

    callbacks: list[Signed] = field(default_factory=list)
    sends: dict[str, str] = field(default_factory=dict)  # id -> number
    kills: int = 0
    started: int = 0


class Soak:
    """Many lives of one daemon."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.seed = seed
        self.told = Told()
        self._chance = random.Random(seed)
        self._folder = folder
        self._numbers = 0

    async def run(self, rounds: int) -> Told:
        """Live and die *rounds* times, then once more to the end."""
        simulator = Simulator(Options(port=0, speed=200, seed=self.seed))
        url = await simulator.start()
        limits = {"after": "1s", "get_per_second": "200", "list_per_minute": "1000"}
        self.daemon = Daemon(
            self._folder, url, reconcile=limits, send={"per_second": "1000", "wait": "50ms"}
        )
        self.daemon.allow(*ANNOUNCED)
        try:
            for _ in range(rounds):
                await self._round()
                self._check_round()
            await self._end(simulator)
        finally:
            await self.daemon.close()
            await simulator.stop()
        return self.told

    async def _round(self) -> None:
        """One life: it is started, loaded, and killed."""
        daemon, chance = self.daemon, self._chance
        await daemon.launch()
        is_early = chance.random() < EARLY_SHARE
        if not is_early:
            await daemon.line("started")
            self.told.started += 1
        load = [asyncio.ensure_future(self._report()) for _ in range(CLIENTS)]
        load.append(asyncio.ensure_future(self._send()))
        lives_s = chance.random() * LOAD_S
        if not is_early and chance.random() < LOCKED_SHARE:
            with daemon.locked_store():
                await asyncio.sleep(lives_s + 1.2)  # long enough for the spool to be used
            await asyncio.sleep(chance.random() * 0.8)  # and for its drain to have begun
        else:
            await asyncio.sleep(lives_s)
        await daemon.kill()
        self.told.kills += 1
        for each in load:
            each.cancel()
        await asyncio.gather(*load, return_exceptions=True)

    async def _report(self) -> None:
        """Report messages until the daemon is gone; some again, as Plivo does."""
        while True:
            again = self.told.callbacks and self._chance.random() < REPEAT_SHARE
            request = self._chance.choice(self.told.callbacks) if again else self._callback()
            try:
                async with asyncio.timeout(8):
                    reply = await self.daemon.deliver(request)
            except GONE:
                await asyncio.sleep(0.01)
                continue
            if reply.status == 200 and not again:
                self.told.callbacks.append(request)

    def _callback(self) -> Signed:
        uuid = str(UUID(int=self._chance.getrandbits(128), version=4))
        return self.daemon.callback(self._chance.choice(["queued", "sent", "delivered"]), uuid)

    async def _send(self) -> None:
        """Send until the daemon is gone, each message to a number of its own."""
        while True:
            self._numbers += 1
            number = f"+1415{self._numbers:03}0{self._chance.choice(['001', '006', '007'])}"
            if self._numbers > 999:
                number = f"+14{self._numbers:07}01"
            try:
                async with asyncio.timeout(8):
                    reply = await self.daemon.send(number, wait="0")
            except GONE:
                await asyncio.sleep(0.01)
                continue
            if reply.status == 202:
                self.told.sends[reply.json["id"]] = number

    def _check_round(self) -> None:
        """See what must be true between two lives, without starting a third."""
        if not self.daemon.store_path.exists():
            return
        audit(self.daemon.store_path)
        doubled = self.daemon.rows(
            "SELECT digest, count(*) FROM events WHERE digest IS NOT NULL GROUP BY digest, nonces"
            " HAVING count(*) > 1"
        )
        assert [] == doubled, f"seed {self.seed}: an event is there twice"

    async def _end(self, simulator: Simulator) -> None:
        """Let it live until all is settled, and compare with what was told."""
        daemon = self.daemon
        await daemon.start()
        while 200 != (await daemon.operator("GET", "/ready")).status:  # noqa: ASYNC110 - asked over HTTP
            await asyncio.sleep(0.1)
        await simulator.idle()
        await daemon.stop()
        self._check_round()
        stored = {uuid for (uuid,) in daemon.rows("SELECT message_uuid FROM events")}
        told = {_uuid(request) for request in self.told.callbacks}
        assert set() == told - stored, f"seed {self.seed}: {len(told - stored)} callbacks are lost"
        ids = {name for (name,) in daemon.rows("SELECT id FROM messages")}
        assert set() == self.told.sends.keys() - ids, f"seed {self.seed}: sends are lost"
        taken = Counter(message.dst for message in simulator.messages.values())
        twice = [number for number, times in taken.items() if times > 1]
        assert [] == twice, f"seed {self.seed}: sent twice: {twice}"
        assert [] == daemon.unexpected(), f"seed {self.seed}"


def _uuid(request: Signed) -> str:
    return request.body.decode().partition("MessageUUID=")[2].partition("&")[0]


def main(words: list[str]) -> int:
    """Run as a program."""
    rounds = int(words[0])
    seed = int(words[1]) if len(words) > 1 else random.SystemRandom().getrandbits(32)
    print(f"{rounds} rounds, seed {seed}", flush=True)  # noqa: T201 - a program
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        told = asyncio.run(Soak(Path(folder), seed).run(rounds))
    print(  # noqa: T201 - a program
        f"{told.kills} kills in {time.monotonic() - began_s:.0f} s; {len(told.callbacks)} callbacks"
        f" answered 200 and {len(told.sends)} sends taken: none lost, none doubled, none sent twice"
    )
    return 0


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main(sys.argv[1:]))
