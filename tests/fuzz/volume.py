"""
Many connections that smuggle, by hand: `python -m tests.fuzz.volume --straight=9000 --proxied=900`.

Straight ones are played to our transport and to Tornado's server, and compared; the others go
through Nginx. Ends with 1 when anything was found; what was sent lies in build/fuzz/volume/ then.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import random
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

from plivostatusd.web.transport.choice import new_event_loop
from tests.fuzz.compared import fault
from tests.fuzz.played import SERVERS, play
from tests.fuzz.proxied import standing
from tests.fuzz.smuggling import connection

AT_ONCE: Final = 100
LONG_S: Final = 20.0
_PORTION: Final = 2_000
"""Connections through Nginx between one look at what it knows and the next."""
_FINDS: Final = Path("build", "fuzz", "volume")


def drawn(chance: random.Random, count: int) -> Iterator[bytes]:
    """Draw so many connections."""
    return (connection(chance) for _ in range(count))


async def poured(inputs: Iterator[bytes], each: Callable[[bytes], Awaitable[None]]) -> None:
    """Do *each* with every input, `AT_ONCE` at a time."""

    async def pour() -> None:
        for data in inputs:
            await each(data)

    await asyncio.gather(*(pour() for _ in range(AT_ONCE)))


async def straight(chance: random.Random, count: int) -> tuple[Counter[str], list[bytes]]:
    """Compare *count* connections; give a tally of what became of them, and those with a fault."""
    tally: Counter[str] = Counter()
    found: list[bytes] = []

    async def compare(data: bytes) -> None:
        ours, theirs = [await play(name, data, listening=listening) for name in SERVERS]
        if fault(data, ours, theirs):
            # Where this process was stopped for a second, the client was lost patience with.
            ours, theirs = [await play(name, data, LONG_S, listening) for name in SERVERS]
            tally["played again"] += 1
        tally["connections"] += 1
        tally["requests taken by ours"] += len(ours.taken)
        tally["requests taken by tornado"] += len(theirs.taken)
        tally["requests sent"] += data.count(b"HTTP/")
        tally[f"ours {ours.end}, tornado {theirs.end}"] += 1
        if sentence := fault(data, ours, theirs):
            tally[sentence] += 1
            found.append(data)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        await poured(drawn(chance, count), compare)
    return tally, found


async def proxied(chance: random.Random, count: int, name: str) -> tuple[Counter[str], list[bytes]]:
    """Send *count* connections through Nginx to the server of that *name*."""
    with tempfile.TemporaryDirectory() as folder:
        async with standing(Path(folder), name) as house:
            for start in range(0, count, _PORTION):
                portion = list(drawn(chance, min(_PORTION, count - start)))
                await poured(iter(portion), house.send)
                if sentence := await house.judge():
                    house.tally[sentence] += 1
                    return house.tally, portion
            return house.tally, []


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="tests.fuzz.volume", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 2**31))
    parser.add_argument("--straight", type=int, default=0)
    parser.add_argument("--proxied", type=int, default=0)
    parser.add_argument("--server", choices=[*SERVERS], default="ours", help="behind Nginx")
    options = parser.parse_args()
    logging.getLogger("tornado").setLevel(logging.CRITICAL)
    chance = random.Random(options.seed)
    print(f"seed {options.seed}", flush=True)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        found = _told(runner.run(straight(chance, options.straight)))
        found += _told(runner.run(proxied(chance, options.proxied, options.server)))
    return 1 if found else 0


def _told(result: tuple[Counter[str], list[bytes]]) -> int:
    tally, found = result
    for name, count in sorted(tally.items()):
        print(f"{count:>11,} {name}")
    for number, data in enumerate(found):
        _FINDS.mkdir(parents=True, exist_ok=True)
        _FINDS.joinpath(f"{os.getpid()}-{number}").write_bytes(data)
    return len(found)


if __name__ == "__main__":
    sys.exit(main())
