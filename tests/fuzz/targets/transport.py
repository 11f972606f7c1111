"""
HTTP's two readers: ours over llhttp takes nothing that Tornado's does not, and takes it alike.

An input is what comes on a connection, from its first byte to its last. Ours reads it in one piece
and in several. It may refuse what Tornado's takes; docs of that: DECISIONS.md, 2026-11-30.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.fuzz.readers import Ours, tornados

WORDS: Final = (
    *(b"GET ", b"POST ", b"PUT ", b"HEAD ", b"BREW ", b"CONNECT ", b"PRI * HTTP/2.0\r\n"),
    *(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b" HTTP/1.2\r\n", b" HTTP/0.9\r\n", b" http/1.1\r\n"),
    *(b"/plivo/status", b"/health?a=b", b"*", b"http://x/", b"/\xff", b"/a#b", b'/"<>', b"/%00"),
    *(b"Host: x\r\n", b"host:y\r\n", b"Host:\r\n", b"X: y\r\n", b"X:\r\n", b"X :y\r\n", b": y\r\n"),
    *(b"Content-Length: 3\r\n", b"Content-Length: 0\r\n", b"content-length:03\r\n"),
    *(b"Content-Length: +3\r\n", b"Content-Length: 3, 3\r\n", b"Content-Length: 3 \r\n"),
    *(b"Content-Length: 18446744073709551616\r\n", b"Content-Length:\t3\t\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"transfer-encoding: Chunked\r\n"),
    *(b"Transfer-Encoding: gzip, chunked\r\n", b"Transfer-Encoding: identity\r\n"),
    *(b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"Connection: upgrade\r\n"),
    *(b"Upgrade: websocket\r\n", b"Expect: 100-continue\r\n", b"\r\n", b"\n", b"\r", b"\r\n\r\n"),
    *(b"0\r\n\r\n", b"3\r\nabc\r\n", b"3;x=y\r\nabc\r\n", b"a\r\n", b"ffffffffffffffff\r\n"),
    *(b"abc", b" ", b"\t", b"\x00", b"\x0b", b"\x7f", b"\x80", b"\xff", b"," * 3, b"X-" * 9),
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
)


@contextmanager
def opened(folder: Path) -> Iterator[Callable[[bytes], None]]:
    """Give the target."""
    del folder
    log = logging.getLogger("tornado")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with asyncio.Runner() as runner:
            yield lambda content: runner.run(_check(content))
    finally:
        log.setLevel(before)


async def _check(content: bytes) -> None:
    theirs = await tornados(content)
    ours = Ours().read([content])
    assert ours.taken == theirs.taken[: len(ours.taken)], "taken otherwise than by Tornado"
    if not ours.has_ended:
        assert (theirs.taken, theirs.has_ended) == (ours.taken, False), "Tornado refuses it"
    assert ours == Ours().read(_cut(content)), "it matters how it comes"


def _cut(content: bytes) -> Iterator[bytes]:
    """Cut an input into pieces, the same one the same way at every run."""
    chance = random.Random(content)
    start = 0
    while start < len(content):
        size = chance.choice((1, 2, 3, 40, 1_000))
        yield content[start : start + size]
        start += size
