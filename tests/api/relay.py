"""A port of 127.0.0.1 that leads to a Unix socket: for clients that know no such sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

_CHUNK_BYTES = 65_536


@asynccontextmanager
async def relayed(path: Path) -> AsyncIterator[int]:
    """Lead to the socket at *path* for the length of a block; the port is given."""

    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(path)
        with suppress(ConnectionError):
            await asyncio.gather(_carry(reader, back), _carry(there, writer))

    server = await asyncio.start_server(lead, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry what comes until there is no more, and say so at the other end."""
    try:
        while chunk := await reader.read(_CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
    finally:
        writer.close()
