"""
Many who call back at once, as Plivo does: each callback genuine, each its own, none given up early.

Run as a program on a machine's own network (`Machine.beside`): it calls until its input ends. Every
now and then it prints how many were answered, a line each, and last what it met, as JSON. A caller
takes four forms: straight to the daemon or through Nginx with TLS, on a fresh connection for each
call or on one that it keeps.

What counts as a failure: a connection refused, an answer other than 200, and a callback that got
no 200 within eight seconds. A connection that is cut while the answer is waited for is none: that
one is repeated, nonce and body the same, as Nginx and Plivo do.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

from plivostatusd.simulator import Signed, signed_request
from plivostatusd.simulator.options import AUTH_TOKEN

FORMS = ("straight fresh", "straight kept", "nginx fresh", "nginx kept")
DIRECT_PORT = 8787
TLS_PORT = 443
PATIENCE_S = 8.0
"""How long Plivo waits for an answer."""

PAUSE_S = 0.01
TELLS_EVERY = 20

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Met:
    """What all callers have met."""

    answered: list[str] = field(default_factory=list)
    by_form: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    cut: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0


class Caller:
    """One who calls, one callback after the other."""

    def __init__(self, form: str, uuid: str, met: Met, url: str, tls: ssl.SSLContext) -> None:
        self.form = form
        self.uuid = uuid
        self.met = met
        self.url = url
        self._tls = tls if form.startswith("nginx") else None
        self._keeps = form.endswith("kept")
        self._kept: Streams | None = None

    async def call(self, until: asyncio.Event) -> None:
        """Call until told to end."""
        for number in count():
            if until.is_set():
                break
            uuid = f"{self.uuid}-4000-8000-{number:012x}"
            began_s = time.monotonic()
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self._deliver(uuid)
            except TimeoutError:
                self.met.failures[f"{self.form}: no 200 in time"] += 1
                self._kept = None
            self.met.slowest_s = max(self.met.slowest_s, time.monotonic() - began_s)
            await asyncio.sleep(PAUSE_S)

    async def _deliver(self, uuid: str) -> None:
        """Carry one callback until it is answered."""
        fields = {"MessageUUID": uuid, "Status": "delivered", "To": "14155552323", "ErrorCode": ""}
        request = signed_request("POST", self.url, fields, AUTH_TOKEN, main_token=AUTH_TOKEN)
        while True:
            try:
                async with self._connection() as streams:
                    status = await _ask(streams, request, keeps=self._keeps)
            except ConnectionRefusedError:
                self.met.failures[f"{self.form}: refused"] += 1
                await asyncio.sleep(PAUSE_S)
                continue
            except (ConnectionError, EOFError, ssl.SSLError):
                self.met.cut[self.form] += 1
                continue
            if status == 200:
                self.met.answered.append(uuid)
                if len(self.met.answered) % TELLS_EVERY == 0:
                    print(len(self.met.answered), flush=True)  # noqa: T201 - to who started it
                self.met.by_form[self.form] += 1
                return
            self.met.failures[f"{self.form}: {status}"] += 1
            await asyncio.sleep(PAUSE_S)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Streams]:
        """Give the connection that was kept, or a new one; keep it only if all went well."""
        streams, self._kept = self._kept, None
        if streams is None:
            port = TLS_PORT if self._tls else DIRECT_PORT
            name = "localhost" if self._tls else None
            streams = await asyncio.open_connection(
                "127.0.0.1", port, ssl=self._tls, server_hostname=name
            )
        try:
            yield streams
        except BaseException:
            streams[1].transport.abort()
            raise
        if self._keeps:
            self._kept = streams
        else:
            streams[1].transport.abort()


async def _ask(streams: Streams, request: Signed, *, keeps: bool) -> int:
    """Send one request, read the whole answer, and give its status."""
    reader, writer = streams
    fields = {
        "Host": "sms.example.com",
        "Content-Length": str(len(request.body)),
        **request.headers,
    }
    if not keeps:
        fields["Connection"] = "close"
    lines = [f"{request.method} {request.target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode() + request.body)
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = head.partition("\r\ncontent-length:")[2].partition("\r\n")[0]
    await reader.readexactly(int(length or 0))
    return int(head.split()[1])


async def _main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--url", required=True, help="what Plivo was told to call")
    arguments.add_argument("--authority", required=True, help="who vouches for Nginx")
    arguments.add_argument("--each", type=int, default=3, help="callers of each form")
    arguments.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS))
    arguments.add_argument(
        "--load", required=True, help="8 hex digits that begin each message's id"
    )
    told = arguments.parse_args()
    tls = ssl.create_default_context(cafile=told.authority)
    met, end = Met(), asyncio.Event()
    callers = [
        Caller(form, f"{told.load}-{number:04x}", met, told.url, tls)
        for number, form in enumerate(told.forms * told.each)
    ]
    loop = asyncio.get_running_loop()
    # Whatever comes on standard input, its end included, ends it.
    loop.add_reader(sys.stdin, end.set)
    await asyncio.gather(*(caller.call(end) for caller in callers))
    print(json.dumps(vars(met)))  # noqa: T201 - to whoever started it


if __name__ == "__main__":
    asyncio.run(_main())
