"""
One Plivo on one port: composes the account and the API that serves it.

May be run in any event loop, several at once.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from dataclasses import replace

from tornado.httpserver import HTTPServer

from .account import POOL_NUMBER, Account, ApiRequest, Outage
from .api import application
from .delivery import Delivery
from .message import Message
from .options import Options
from .pace import Pace, wall_us
from .send import Send

_BODY_BYTES_MAX = 1_048_576
_HEADER_BYTES_MAX = 16_384
_BACKLOG = 128


def _quiet(_: str) -> None:
    """Say nothing."""


class Simulator:
    """
    A running Plivo.

    `messages` (by uuid, oldest first) holds what it took, with every callback and its answer;
    `requests` holds the calls of its API; `outage`, while set, refuses them.
    """

    def __init__(
        self,
        options: Options | None = None,
        *,
        say: Callable[[str], None] = _quiet,
        now_us: Callable[[], int] = wall_us,
        account: Account | None = None,
    ) -> None:
        self.options = options or Options(port=0)
        self.url = ""
        self._follows = account is not None
        self._account = account or Account(self.options, Pace(self.options.speed, now_us), say)
        self._server = HTTPServer(
            application(self._account),
            max_body_size=_BODY_BYTES_MAX,
            max_header_size=_HEADER_BYTES_MAX,
        )

    @property
    def seed(self) -> int:
        """What `Options.seed` must be for the same again."""
        return self._account.seed

    @property
    def messages(self) -> dict[str, Message]:
        """What was taken: the truth to compare with."""
        return self._account.messages

    @property
    def requests(self) -> list[ApiRequest]:
        """What the API was asked, in the order of its answers."""
        return self._account.requests

    @property
    def outage(self) -> Outage | None:
        """What refuses the API's calls at present, if anything does."""
        return self._account.outage

    @outage.setter
    def outage(self, outage: Outage | None) -> None:
        self._account.outage = outage

    async def start(self) -> str:
        """
        Listen, and return the base url to give to the daemon as `plivo.api_url`.

        Raises:
            OSError: the address cannot be listened on.
        """
        host = self.options.host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # Not Tornado's bind_sockets, which leaves a socket open when the port is taken.
        listener = socket.create_server((host, self.options.port), family=family, backlog=_BACKLOG)
        listener.setblocking(False)
        self._server.add_socket(listener)
        port = listener.getsockname()[1]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self.options = replace(self.options, port=port)
        if self._follows:
            self._account.resume()
        return self.url

    async def stop(self) -> None:
        """Stop listening, cut what is still connected, and end all stories where they are."""
        self._server.stop()
        # Connections first: a story that began after the others have ended would go on alone.
        await self._server.close_all_connections()
        await self._account.background.stop()

    def successor(self) -> Simulator:
        """
        Make the one that goes on where this one stops: with its account, on its port.

        Started once this one has stopped, it goes on with the stories that were cut off.
        """
        return Simulator(self.options, account=self._account)

    async def idle(self) -> None:
        """Wait until every story is told and every retry has ended."""
        await self._account.background.idle()

    def take(self, *, dst: str, url: str, src: str = POOL_NUMBER, text: str = "") -> Message:
        """Take a message as if a send had asked for it, and begin its story."""
        asked = Send(src=src, recipients=(dst,), url=url, text=text)
        return self._account.take(asked, self.options.host)[0]

    def adopt(self, *, dst: str, url: str, src: str = POOL_NUMBER, method: str = "POST") -> Message:
        """Know a message that tells no story: what is said of it is up to :meth:`callback`."""
        asked = Send(src=src, recipients=(dst,), url=url, method=method)
        return self._account.add(asked, dst, self.options.host)

    async def callback(
        self, message_uuid: str, status: str, *, error_code: str = "", sequence: int | None = None
    ) -> Delivery:
        """
        Report *status* for a message at once, by one genuine call without retries.

        The message moves on to *status*, unless *sequence* says that this is an older change; the
        next in sequence is taken when none is given.
        """
        return await self._account.callback(
            message_uuid, status, error_code=error_code, sequence=sequence
        )

    async def callbacks(self, message_uuid: str, statuses: Iterable[str]) -> list[Delivery]:
        """Report each of *statuses* in turn, as :meth:`callback` does."""
        return [await self.callback(message_uuid, status) for status in statuses]
