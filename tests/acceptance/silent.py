"""A Plivo that takes requests and answers none of them: nobody can tell what became of a send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self


class Silent:
    """Keeps what it was asked; `asked` waits for the next request."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[dict[str, Any]] = []
        self._news: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._connections: set[asyncio.StreamWriter] = set()

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[Self]:
        """Listen on a free port for the length of a block."""
        self = cls()
        server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for connection in tuple(self._connections):
                connection.transport.abort()

    async def asked(self) -> dict[str, Any]:
        """Wait for the next request, and give its JSON body."""
        return await self._news.get()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            request = json.loads(await reader.readexactly(length))
            self.requests.append(request)
            self._news.put_nowait(request)
            await reader.read()  # until the other end gives up
        except (asyncio.IncompleteReadError, ConnectionResetError):
            pass
        finally:
            self._connections.discard(writer)
            writer.close()
