"""
Schemathesis before a whole daemon, with the simulator as Plivo.

It asks over the Unix socket, as root or whoever runs the tests, so that operators' commands are
asked for, too; by way of a port, because it knows no such sockets. Over TCP, with a token, it
leaves those out: they are 403 there, whatever the method. Requests are drawn from the
document, right and wrong ones, and each answer is held against it. Any warning that the daemon logs
is a fault as well.
Source: schemathesis.readthedocs.io/en/stable/reference/checks, read 2026-11.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.daemon import API_TOKEN, running
from tests.api.relay import relayed

PROGRAM = Path(sys.executable).with_name("schemathesis")
CONFIG = Path(__file__).with_name("schemathesis.toml")
STORIES = ("0001", "0002", "0005", "0012")
ALLOWED = ("send_unknown", "callback_refused")
"""What the simulator does to a number that was drawn by chance."""


@dataclass(frozen=True)
class Told:
    """What schemathesis said, and its exit status: 0 when it found nothing."""

    status: int
    report: str


async def ask_around(folder: Path, *, seed: int, examples: int, by_tcp: bool = False) -> Told:
    """Ask the daemon of a new store in *folder*: *examples* of each operation, and the corners."""
    words = ["--seed", str(seed), "--max-examples", str(examples)]
    async with running(folder) as (daemon, simulator):
        daemon.allow(*ALLOWED)
        for story in STORIES:
            await daemon.send(f"+1415555{story}")
        if by_tcp:
            words += ["--header", f"Authorization: Bearer {API_TOKEN}"]
            told = await _run(folder, daemon.api_port, *words, "--exclude-tag", "operators")
        else:
            async with relayed(daemon.api_socket) as port:
                told = await _run(folder, port, *words)
        await simulator.idle()
    return told


async def _run(folder: Path, port: int, *words: str) -> Told:
    url = f"http://127.0.0.1:{port}/openapi.json"
    process = await asyncio.create_subprocess_exec(
        *(str(PROGRAM), "--config-file", str(CONFIG), "run", url),
        *("--continue-on-failure", *words),
        cwd=folder,  # where it keeps what it remembers
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return Told(await process.wait(), output.decode())
