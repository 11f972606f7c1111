"""
A bare Tornado handler that answers "ok" and keeps nothing: what Tornado itself takes.

Tornado as its documentation begins: one `Application`, one handler, no log line. Run as
`python -m bench.peers.tornado_ok PORT`; ended by SIGTERM.
"""

from __future__ import annotations

import asyncio
import sys

from tornado.web import Application, RequestHandler


class OkHandler(RequestHandler):
    """Verifies nothing, stores nothing."""

    def post(self) -> None:
        """Answer."""
        self.write("ok\n")


async def main(port: int) -> None:
    """Serve on loopback until the process is ended."""
    Application([(r"/plivo/.*", OkHandler)]).listen(port, "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
