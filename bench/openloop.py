"""
Load at a rate that does not wait for answers, as Plivo's does not.

Each request has a moment at which it is due, and its time runs from then, whether or not it could
be sent: a server that stands still is charged for all who wait meanwhile ("coordinated omission").
Some connections are kept; where none is free a new one is opened, up to a bound, past which a
request is not sent and counts as such. Who waits too long hangs up. One thread that never sleeps:
it wants a core of its own.
"""

from __future__ import annotations

import contextlib
import gc
import resource
import select
import socket
import time
from array import array
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from math import ceil

GIVES_UP_S = 8.0
"""For so long Plivo waits for an answer."""

Moments = Sequence[float]
"""When requests are due, in seconds from the beginning, ascending."""

KEPT = 64
"""Idle connections at most: one more is closed after its answer, as Nginx does."""

_READ_BYTES = 65_536
_NONE, _UNSENT, _BROKEN = 0, 1, 2
"""Instead of a status: no answer (yet), no free connection, one that broke."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What came of each request, by its number: when due, how long it took, and its status."""

    due_s: Sequence[float]
    took_s: Sequence[float]
    status: Sequence[int]
    late_s: Sequence[float]
    """How much later than due each was sent: the generator's own fault."""
    began_s: float = 0.0
    """When due_s was 0, by time.perf_counter()."""

    def __len__(self) -> int:
        return len(self.due_s)

    def first(self, count: int) -> Answers:
        """Give the first *count* alone."""
        return Answers(
            self.due_s[:count],
            self.took_s[:count],
            self.status[:count],
            self.late_s[:count],
            self.began_s,
        )

    def ok(self) -> list[int]:
        """Give the numbers of those that were answered with 200."""
        return [number for number, status in enumerate(self.status) if status == HTTPStatus.OK]

    def refused(self) -> int:
        """Count those with an answer that is not 200."""
        return sum(status > _BROKEN and status != HTTPStatus.OK for status in self.status)

    def waits_s(self) -> list[float]:
        """Give how long each was waited for: as long as one waits at all, where nothing came."""
        pairs = zip(self.took_s, self.status, strict=True)
        return [took_s if status > _BROKEN else GIVES_UP_S for took_s, status in pairs]

    def counts(self) -> dict[str, int]:
        """Count by what came of them, in words."""
        words = {_NONE: "no answer in 8 s", _UNSENT: "no free connection", _BROKEN: "broken off"}
        found: dict[str, int] = {}
        for status in self.status:
            word = words.get(status, str(status))
            found[word] = found.get(word, 0) + 1
        return dict(sorted(found.items()))


def schedule(*phases: tuple[float, float]) -> array[float]:
    """Say when each request is due, of *phases* of a rate and a length in seconds."""
    due, began_s = array("d"), 0.0
    for per_second, seconds in phases:
        due.extend(began_s + n / per_second for n in range(int(per_second * seconds)))
        began_s += seconds
    return due


def percentile(values: Iterable[float], share: float) -> float:
    """Give the least value that *share* of all do not exceed; NaN of none."""
    ordered = sorted(values)
    return ordered[max(ceil(share * len(ordered)) - 1, 0)] if ordered else float("nan")


def play(
    port: int, requests: Sequence[bytes], due_s: Sequence[float], *, connections_max: int = 6_000
) -> Answers:
    """Send each of *requests* when it is due, and wait for all answers, but none for ever."""
    _allow_descriptors(connections_max + 200)
    with contextlib.closing(_Generator(port, requests, due_s, connections_max)) as generator:
        # A pause of the collector would be told as one of the server.
        gc.collect()
        gc.disable()
        try:
            generator.run()
        finally:
            gc.enable()
        return generator.answers


def _allow_descriptors(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


class _Generator:
    """The state of one run."""

    def __init__(
        self, port: int, requests: Sequence[bytes], due_s: Sequence[float], connections_max: int
    ) -> None:
        count = len(due_s)
        assert len(requests) >= count
        self._address = ("127.0.0.1", port)
        self._requests, self._due_s, self._most = requests, due_s, connections_max
        self._took_s = array("d", [float("nan")]) * count
        self._late_s = array("d", [0.0]) * count
        self._status = array("H", [_NONE]) * count
        self._sockets: dict[int, socket.socket] = {}
        self._asked: dict[int, int] = {}  # by descriptor: the request that is on the way there
        self._read: dict[int, bytes] = {}  # the beginning of an answer whose end is not there yet
        self._free: list[int] = []
        self._waiting: deque[tuple[int, int]] = deque()  # request and descriptor, as they were sent
        self._poll = select.epoll()
        self._began_s = 0.0
        for _ in range(min(KEPT, count)):
            self._free.append(self._connect(waits=True))

    @property
    def answers(self) -> Answers:
        return Answers(self._due_s, self._took_s, self._status, self._late_s, self._began_s)

    def close(self) -> None:
        self._poll.close()
        for each in self._sockets.values():
            each.close()

    def run(self) -> None:
        clock, due_s, poll = time.perf_counter, self._due_s, self._poll.poll
        number, count = 0, len(due_s)
        ends_s = due_s[-1] + GIVES_UP_S
        self._began_s = clock()
        while number < count or self._asked:
            now_s = clock() - self._began_s
            while number < count and due_s[number] <= now_s:
                self._send(number, now_s)
                number += 1
            for descriptor, events in poll(0, 256):
                self._on_event(descriptor, events)
            self._hang_up(now_s)
            if now_s > ends_s:
                break

    def _connect(self, *, waits: bool = False) -> int:
        made = socket.socket()
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setblocking(waits)
        with contextlib.suppress(BlockingIOError):
            made.connect(self._address)
        made.setblocking(False)
        descriptor = made.fileno()
        self._sockets[descriptor] = made
        self._poll.register(descriptor, select.EPOLLIN if waits else select.EPOLLOUT)
        return descriptor

    def _send(self, number: int, now_s: float) -> None:
        self._late_s[number] = now_s - self._due_s[number]
        if self._free:
            descriptor = self._free.pop()
            self._asked[descriptor] = number
            self._waiting.append((number, descriptor))
            self._write(descriptor, number)
        elif len(self._sockets) < self._most:
            descriptor = self._connect()
            self._asked[descriptor] = number  # written once it is connected
            self._waiting.append((number, descriptor))
        else:
            self._status[number] = _UNSENT

    def _hang_up(self, now_s: float) -> None:
        """End the connections of those who have waited too long."""
        waiting = self._waiting
        while waiting:
            number, descriptor = waiting[0]
            is_asked = self._asked.get(descriptor) == number
            if is_asked and now_s - self._due_s[number] <= GIVES_UP_S:
                return
            waiting.popleft()
            if is_asked:
                del self._asked[descriptor]
                self._forget(descriptor)

    def _write(self, descriptor: int, number: int) -> None:
        request = self._requests[number]
        try:
            sent = self._sockets[descriptor].send(request)
        except OSError:
            self._break(descriptor)
            return
        assert sent == len(request), "a request is smaller than a socket's buffer"

    def _on_event(self, descriptor: int, events: int) -> None:
        if events & select.EPOLLOUT:
            self._poll.modify(descriptor, select.EPOLLIN)
            self._write(descriptor, self._asked[descriptor])
            return
        try:
            data = self._sockets[descriptor].recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._break(descriptor)
            return
        if self._read:
            data = self._read.pop(descriptor, b"") + data
        if _is_whole(data):
            self._take(descriptor, data)
        else:
            self._read[descriptor] = data

    def _take(self, descriptor: int, data: bytes) -> None:
        number = self._asked.pop(descriptor)
        took_s = time.perf_counter() - self._began_s - self._due_s[number]
        self._took_s[number] = took_s
        self._status[number] = int(data[9:12]) if took_s <= GIVES_UP_S else _NONE
        if len(self._free) >= KEPT or b"onnection: close" in data:
            self._forget(descriptor)
        else:
            self._free.append(descriptor)

    def _break(self, descriptor: int) -> None:
        """Take a connection that has ended; one that was idle may."""
        number = self._asked.pop(descriptor, None)
        if number is None:
            self._free.remove(descriptor)
        else:
            self._status[number] = _BROKEN
        self._forget(descriptor)

    def _forget(self, descriptor: int) -> None:
        self._read.pop(descriptor, None)
        self._poll.unregister(descriptor)
        self._sockets.pop(descriptor).close()


def _is_whole(data: bytes) -> bool:
    """Say whether an answer is all there; each of those asked here names its length."""
    head, found, body = data.partition(b"\r\n\r\n")
    if not found:
        return False
    at = head.lower().index(b"content-length:")
    return len(body) >= int(head[at + 15 :].split(b"\r\n", 1)[0])
