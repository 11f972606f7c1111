"""
Schemathesis before a whole daemon, with the simulator as Plivo.

It asks over the Unix socket, as root or whoever runs the tests, so that operators' commands are
asked for, too; by way of a port, because it knows no such sockets. Requests are drawn from the
document, right and wrong ones, and each answer is held against it. Any warning that the daemon logs
is a fault as well, but for those that bad requests are there for.
Source: schemathesis.readthedocs.io/en/stable/reference/checks, read 2026-11.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.daemon import running
from tests.api.relay import relayed

PROGRAM = Path(sys.executable).with_name("schemathesis")
CONFIG = Path(__file__).with_name("schemathesis.toml")
STORIES = ("0001", "0002", "0005", "0012")
# Nobody sees to it that Plivo is told of these; and what is planned for a message that somebody
# has forgotten, cancelled or settled meanwhile is no fault.
ALLOWED = ("outbox_held", "send_unknown", "message_rebuilt", "front_door", "callback_")


@dataclass(frozen=True)
class Told:
    """What schemathesis said, and its exit status: 0 when it found nothing."""

    status: int
    report: str


async def ask_around(folder: Path, *, seed: int, examples: int) -> Told:
    """Ask the daemon of a new store in *folder*: *examples* of each operation, and the corners."""
    async with running(folder) as (daemon, simulator):
        daemon.allow(*ALLOWED)
        for story in STORIES:
            await daemon.send(f"+1415555{story}")
        async with relayed(daemon.api_socket) as port:
            told = await _run(folder, f"http://127.0.0.1:{port}", seed, examples)
        await simulator.idle()
    return told


async def _run(folder: Path, url: str, seed: int, examples: int) -> Told:
    command = [str(PROGRAM), "--config-file", str(CONFIG), "run", f"{url}/openapi.json"]
    command += ["--seed", str(seed), "--max-examples", str(examples), "--continue-on-failure"]
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,  # where it keeps what it remembers
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return Told(await process.wait(), output.decode())
