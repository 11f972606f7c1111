"""
The limit: a protocol on uvloop that has httptools read a whole request and answers "ok".

No framework, no routes to speak of, no verification, no storage, no log. What is faster than this
needs another language. Run as `python -m bench.peers.httptools_ok PORT`; ended by SIGTERM.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import httptools
import uvloop

_OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n"
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


class OkProtocol(asyncio.Protocol):
    """Takes the request as a server would that looks at it: target, headers and body are kept."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what answers are written to."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by class

    def data_received(self, data: bytes) -> None:
        """Have it parsed; a request that cannot be ends the connection."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def on_message_begin(self) -> None:
        """Forget the request before."""
        self._target, self._headers, self._body = b"", [], b""

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Answer."""
        self._transport.write(_OK if self._target.startswith(b"/plivo/") else _NOT_FOUND)
        if not self._parser.should_keep_alive():
            self._transport.close()


async def main(port: int) -> None:
    """Serve on loopback until the process is ended."""
    await asyncio.get_running_loop().create_server(OkProtocol, "127.0.0.1", port, backlog=1024)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
