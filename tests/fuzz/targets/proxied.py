"""
Nginx with our site before us: whatever a client sends, it knows of each request that reaches us.

An input is what comes on a client's connection; a marker is put behind it. It goes through a real
Nginx, so that there are some hundred a second; many at once: `python -m tests.fuzz.volume`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fuzz.proxied import House, standing
from tests.fuzz.smuggling import HIDDEN, MARKER
from tests.fuzz.targets import transport

WORDS = (*transport.WORDS, HIDDEN, b"Host: sms.example.com\r\n", b"/plivo/")


@contextmanager
def opened(folder: Path) -> Iterator[Callable[[bytes], None]]:
    """Give the target."""
    with asyncio.Runner() as runner:
        standing_ = standing(folder)
        house = runner.run(standing_.__aenter__())
        try:
            yield lambda content: runner.run(_check(house, content))
        finally:
            runner.run(standing_.__aexit__(None, None, None))


async def _check(house: House, content: bytes) -> None:
    await house.send(content + MARKER)
    sentence = await house.judge()
    assert sentence is None, sentence
