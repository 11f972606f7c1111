"""
The simulator in a process of its own, told what to do by lines, for the campaign.

A process of its own, for it takes half as much time as the daemon, and the test's own process has
the log to read. `PlivoProcess` is the campaign's end; run as a program, this file is the other.

Each line is a command, answered by a line: `stop`, `start` (over the same account, on the same
port), `fail KIND`, `mend`, `idle` (once every story is told) and `truth PATH` (what Plivo knows).
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from plivostatusd.simulator import Options, Simulator
from plivostatusd.simulator.account import Failing, Outage
from plivostatusd.simulator.message import Message

ROOT = Path(__file__).parents[2]
MANNERS: dict[str, Any] = {
    "speed": 20.0,
    "lose": 0.2,
    "double": 0.1,
    "delay": 0.1,
    "retry_after_s": 0,
}
OUTAGES = {
    "refused": Outage(503, only="sends"),
    "garbled": Outage(202, only="sends", failing=Failing.GARBLED),
    "cut": Outage(only="sends", failing=Failing.CUT),
    "unanswered": Outage(only="sends", failing=Failing.SILENT),
}


@dataclass(frozen=True, slots=True)
class Report:
    """One genuine callback, and the answer that it got."""

    status: str
    sequence: int
    answer: int | None


@dataclass(frozen=True, slots=True)
class Taken:
    """A message as Plivo knows it: the truth."""

    uuid: str
    to: str
    status: str
    sequence: int
    error_code: str | None
    lost: int
    reports: tuple[Report, ...]
    forgeries: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Truth:
    """All that Plivo took, and the answer to each call to send, by recipient."""

    taken: tuple[Taken, ...]
    calls: tuple[tuple[str, int | None], ...]

    @classmethod
    def read(cls, path: Path) -> Truth:
        """Read what the other process has written."""
        found = json.loads(path.read_text())
        taken = [
            Taken(
                **{
                    **each,
                    "reports": tuple(Report(**report) for report in each["reports"]),
                    "forgeries": tuple(each["forgeries"]),
                }
            )
            for each in found["taken"]
        ]
        return cls(tuple(taken), tuple((to, answer) for to, answer in found["calls"]))


class PlivoProcess:
    """The campaign's end: a method a command, each returning once it is done."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lock = asyncio.Lock()
        self.url = ""

    @classmethod
    @asynccontextmanager
    async def running(cls, seed: int) -> AsyncIterator[Self]:
        """Run it for the length of a block."""
        command = [sys.executable, "-W", "error", "-m", "tests.fault.campaign_plivo", str(seed)]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe)
        self = cls(process)
        try:
            self.url = await self._answer()
            yield self
            assert process.stdin is not None
            process.stdin.close()
            assert 0 == await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def tell(self, *words: str) -> None:
        """Give one command."""
        async with self._lock:
            assert self._process.stdin is not None
            self._process.stdin.write(" ".join(words).encode() + b"\n")
            answer = await self._answer()
        assert "done" == answer, f"{words}: {answer or 'it has ended'}"

    async def truth(self, path: Path) -> Truth:
        """Ask what Plivo knows."""
        await self.tell("truth", str(path))
        return Truth.read(path)

    async def _answer(self) -> str:
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode().strip()


def taken_of(message: Message) -> Taken:
    """Sum a message up."""
    return Taken(
        uuid=message.uuid,
        to=f"+{message.dst}",
        status=message.state,
        sequence=message.sequence,
        error_code=message.error_code or None,
        lost=len(message.lost),
        reports=tuple(
            Report(each.status, each.sequence, each.answer)
            for each in message.deliveries
            if not each.is_forged
        ),
        forgeries=tuple(each.answer for each in message.deliveries if each.is_forged),
    )


async def obey(simulator: Simulator, word: str, argument: str) -> Simulator:
    """Do as one command says; the simulator of from then on comes back."""
    if word == "stop":
        await simulator.stop()
    elif word == "start":
        simulator = simulator.successor()
        await simulator.start()
    elif word == "fail":
        simulator.outage = OUTAGES[argument]
    elif word == "mend":
        simulator.outage = None
    elif word == "idle":
        await simulator.idle()
    elif word == "truth":
        write_truth(simulator, Path(argument))
    return simulator


def write_truth(simulator: Simulator, path: Path) -> None:
    """Write down what Plivo knows, for `Truth.read`."""
    taken = [asdict(taken_of(message)) for message in simulator.messages.values()]
    sends = [each for each in simulator.requests if each.method == "POST"]
    calls = [(f"+{each.dst}", each.answer) for each in sends]
    path.write_text(json.dumps({"taken": taken, "calls": calls}))


async def serve(seed: int) -> None:
    """Play Plivo until standard input ends."""
    with socket.socket() as reserved:
        # Bound and never listened on: while Plivo is away nobody else is given its port.
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        simulator = Simulator(Options(port=port, seed=seed, **MANNERS))
        say(await simulator.start())
        commands = asyncio.StreamReader()
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
        )
        async for line in commands:
            word, _, argument = line.decode().strip().partition(" ")
            simulator = await obey(simulator, word, argument)
            say("done")
        pipe.close()
        await simulator.stop()


def say(line: str) -> None:
    """Answer."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
