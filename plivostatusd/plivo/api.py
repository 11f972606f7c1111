"""
The door to Plivo: one coroutine a call, one named outcome back, whatever the network does.

Owns the worker threads and their connections. Promises that every call ends within its time, that
it sends one request at most, and that "not sent" is a fact. The daemon makes one, flows call it;
after a change of settings the daemon makes another and closes the old one.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from plivostatusd.domain.identity import is_message_uuid
from plivostatusd.plivo.answer import Answer, judge_get, judge_list, judge_probe, judge_send
from plivostatusd.plivo.attempt import CURRENT, Attempt, describe
from plivostatusd.plivo.call import SendCall
from plivostatusd.plivo.options import ApiOptions
from plivostatusd.plivo.outcome import Absent, Finding, Listing, NotSent, Outcome, Probe, Unknown
from plivostatusd.plivo.query import ListQuery

if TYPE_CHECKING:
    from plivostatusd.plivo.client import Client

__all__ = ["ApiOptions", "PlivoApi", "uptime_s"]

Verdict = TypeVar("Verdict")
CLOSE_S_MAX = 2.0
"""Longest wait for a thread to notice that its connection was cut; only a DNS lookup takes more."""


def uptime_s() -> float:
    """Read a clock that nobody sets and that goes on while a virtual machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class PlivoApi:
    """Plivo's message API for one account."""

    def __init__(self, options: ApiOptions, *, now_s: Callable[[], float] = uptime_s) -> None:
        self._options = options
        self._now_s = now_s
        self._is_closed = False
        self._free = asyncio.Semaphore(options.concurrency)
        self._running: dict[Attempt, asyncio.Future[None]] = {}
        self._executor = ThreadPoolExecutor(options.concurrency, "plivo-api")
        self._own = threading.local()
        self._clients: list[Client] = []

    async def send(self, call: SendCall) -> Outcome:
        """
        Ask Plivo to send one message, once; return within twice the time-out, raise nothing.

        (Once to wait for a free thread, once for the call.) A cancelled send is cut: whether it
        had reached Plivo is then not known.
        """
        return await self._run(lambda client: client.send(call), judge_send)

    async def probe(self) -> Probe:
        """Ask Plivo something that costs nothing, to learn whether the account is welcome again."""
        return await self._run(lambda client: client.probe(), judge_probe)

    async def get(self, message_uuid: str) -> Finding:
        """
        Ask Plivo what became of one message, once; bounded as ``send`` is, raise nothing.

        A question takes a connection that a send may be waiting for: ask a few at a time.
        """
        if not is_message_uuid(message_uuid):
            return Absent()
        return await self._run(
            lambda client: client.get(message_uuid), lambda answer: judge_get(answer, message_uuid)
        )

    async def list(self, query: ListQuery) -> Listing:
        """Ask Plivo for one page of its messages, once; bounded as ``send`` is, raise nothing."""
        parameters = query.parameters()
        return await self._run(
            lambda client: client.list(parameters), lambda answer: judge_list(answer, query)
        )

    async def close(self) -> None:
        """
        Cut what is in flight and end the threads, within ``CLOSE_S_MAX``.

        Whoever still awaits a send gets its outcome; to cut none, await them first. A thread that
        hangs in a DNS lookup is left to end by itself.
        """
        self._is_closed = True
        for attempt in self._running:
            attempt.abort("cut off: closing")
        hanging: set[asyncio.Future[None]] = set()
        if self._running:
            _, hanging = await asyncio.wait(self._running.values(), timeout=CLOSE_S_MAX)
        for ended in hanging:
            ended.set_result(None)
        self._executor.shutdown(wait=not hanging, cancel_futures=True)
        while self._clients and not hanging:
            self._clients.pop().close()

    async def _run(
        self, action: Callable[[Client], None], judge: Callable[[Answer], Verdict]
    ) -> Verdict | NotSent | Unknown:
        timeout_s = self._options.timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                await self._free.acquire()
        except TimeoutError:
            return NotSent("every API connection is busy")
        if self._is_closed:
            self._free.release()
            return NotSent("closed")
        attempt = Attempt(self._now_s)
        ended = self._start(attempt, action)
        try:
            await asyncio.wait([ended], timeout=timeout_s)
        finally:  # a cancelled call is cut as a late one is
            if not ended.done():
                attempt.abort(f"no whole answer within {timeout_s:g} s")
        secrets = self._options.secrets()
        return attempt.verdict(lambda answer: judge(answer.without(*secrets)))

    def _start(self, attempt: Attempt, action: Callable[[Client], None]) -> asyncio.Future[None]:
        """Have a thread make the call; the future is done, and a thread free, when it has ended."""
        loop = asyncio.get_running_loop()
        ended = self._running[attempt] = loop.create_future()

        def note_end() -> None:
            del self._running[attempt]
            self._free.release()
            if not ended.done():
                ended.set_result(None)

        def work() -> None:
            self._perform(attempt, action)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(note_end)

        self._executor.submit(work)
        return ended

    def _perform(self, attempt: Attempt, action: Callable[[Client], None]) -> None:
        token = CURRENT.set(attempt)
        try:
            action(self._client())
        except Exception as error:  # noqa: BLE001 - the attempt knows what happened, not the SDK
            attempt.failure = describe(error)
        finally:
            CURRENT.reset(token)
            attempt.release()

    def _client(self) -> Client:
        """Return this thread's own client; the first one loads the SDK."""
        from plivostatusd.plivo.client import Client  # start-up does not pay for it

        if not hasattr(self._own, "client"):
            self._own.client = Client(self._options)
            self._clients.append(self._own.client)
        client: Client = self._own.client
        return client
