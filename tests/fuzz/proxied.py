"""
What Nginx makes of a client's connections, and what reaches us: never more requests than it knows.

Behind Nginx stands either transport, with a door that keeps each request and answers with its id.
Nginx keeps its connections to us, so that a request which it does not know of would be answered in
the place of the next client's.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, Final

from plivostatusd.web.connections import Bounds, Connections
from plivostatusd.web.exchange import Exchange
from tests.fuzz import front
from tests.fuzz.played import SERVERS, rest
from tests.fuzz.readers import Door

TOLD_S_MAX: Final = 5.0
_ANSWER: Final = re.compile(
    rb"^%b: (\w+)\r\n(?:[^\r\n]+\r\n)*\r\n(none|[0-9a-f]{32})?" % front.ID.encode(), re.MULTILINE
)


class Origin(Door):
    """Answers each request with the id that Nginx gave it."""

    def handle(self, exchange: Exchange) -> None:
        """Keep a whole request."""
        self.keep(exchange)
        exchange.answer(200, exchange.headers.get(front.ID, "none"))


class House:
    """Nginx, us behind it, and what either has heard of since the last `judge`."""

    def __init__(self, folder: Path, origin: Origin, port: int) -> None:
        self.port = port
        """Where we are, behind Nginx."""
        self.tally: Counter[str] = Counter()
        self._place = str(folder / front.SOCKET)
        self._origin = origin
        self._answers: list[tuple[str, str]] = []
        self._lines: list[dict[str, Any]] = []
        self._log = b""
        self._told = asyncio.Event()

    def hear(self, pipe: int) -> None:
        """Take what Nginx says of its requests."""
        *lines, self._log = (self._log + os.read(pipe, 1 << 20)).split(b"\n")
        self._lines += [json.loads(line.decode("latin-1"), strict=False) for line in lines]
        self._told.set()

    async def send(self, data: bytes) -> None:
        """Be a client that sends *data*, and reads until Nginx ends the connection."""
        loop = asyncio.get_running_loop()
        with closing(socket.socket(socket.AF_UNIX)) as client:
            client.setblocking(False)
            await loop.sock_connect(client, self._place)
            sending = asyncio.ensure_future(loop.sock_sendall(client, data))
            said = await rest(client)
            sending.cancel()
        found = ((given.decode(), body.decode()) for given, body in _ANSWER.findall(said))
        self._answers += found
        self.tally["connections"] += 1
        self.tally["answers"] += said.count(b"HTTP/1.1 ")

    async def judge(self) -> str | None:
        """Say what is wrong with all that was sent since it was last asked, if anything is."""
        async with asyncio.timeout(TOLD_S_MAX):
            while not self._has_told_all():
                self._told.clear()
                await self._told.wait()
        lines, taken, answers = self._lines, self._origin.taken, self._answers
        self._lines, self._origin.taken, self._answers = [], [], []
        upstream = [status for line in lines for status in re.findall(r"\d+", line["upstream"])]
        self.tally.update(f"we answered {status}" for status in upstream)
        self.tally["requests at Nginx"] += len(lines)
        ours = Counter((_id(each), each.method, each.target, each.body) for each in taken)
        theirs = Counter(
            (line["id"], line["method"], line["target"], line["body"].encode("latin-1"))
            for line in lines
            for status in re.findall(r"\d+", line["upstream"])
            if status == "200"
        )
        if ours != theirs:
            return f"Nginx knows otherwise: ours {ours - theirs}, Nginx's {theirs - ours}"
        if set(upstream) - {"200", "400", "502"}:
            return f"Nginx waited for us, or we for Nginx: {set(upstream)}"
        # What follows an answer without a body, to HEAD or to what we refuse, is the next, which
        # has no head of its own in HTTP/0.9.
        whole = {
            line["id"]
            for line in lines
            if line["method"] != "HEAD" and line["upstream"].endswith("200")
        }
        swapped = [each for each in answers if each[0] in whole and each[1] not in {"", each[0]}]
        return f"answers in another's place: {swapped}" if swapped else None

    def _has_told_all(self) -> bool:
        """Whether Nginx has a line for whatever we were asked and whatever was answered."""
        told = {line["id"] for line in self._lines}
        known = {_id(each) for each in self._origin.taken} - {"none"}
        return known | {given for given, _ in self._answers} <= told


def _id(taken: Any) -> str:
    given = [value for name, value in taken.fields if name == front.ID.lower()]
    return given[0] if len(given) == 1 else "none"


@asynccontextmanager
async def standing(folder: Path, name: str = "ours") -> AsyncIterator[House]:
    """Put it all up, with the server of that *name* behind Nginx."""
    loop = asyncio.get_running_loop()
    origin = Origin()
    connections = Connections(Bounds(), lambda _: None)
    server = SERVERS[name](origin, connections)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        port = listening.getsockname()[1]
        house = House(folder, origin, port)
        loop.add_reader(listening, lambda: server.take(*listening.accept()))
        with front.opened(folder, f"127.0.0.1:{port}") as pipe:
            loop.add_reader(pipe, house.hear, pipe)
            yield house
            loop.remove_reader(pipe)
        loop.remove_reader(listening)
        await server.close()
        connections.close()
