"""Load that does not wait for answers: when requests are due, and what is made of the answers."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from bench import openloop
from bench.openloop import GIVES_UP_S, Answers, percentile, play, schedule

REQUEST = b"POST / HTTP/1.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BUSY = b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nConnection: close\r\n\r\n"


def test_schedule() -> None:
    """Requests are due evenly within each phase, and a phase begins where the last ended."""
    assert [0.0, 0.5, 1.0, 1.25, 1.5, 1.75] == list(schedule((2.0, 1.0), (4.0, 1.0)))


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1), (0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100)]
)
def test_percentile(share: float, expected: int) -> None:
    """It is a value that was measured, the least that so many do not exceed."""
    assert expected == percentile(range(100, 0, -1), share)
    assert math.isnan(percentile([], share))


def test_what_was_not_answered() -> None:
    """Whoever had no answer waited for as long as one waits; words tell why."""
    found = Answers([0.0] * 5, [0.1, 0.2, 7.0, 7.0, 7.0], [200, 503, 0, 1, 2], [0.0] * 5)
    assert [0.1, 0.2, *[GIVES_UP_S] * 3] == found.waits_s()
    assert ([0], 1) == (found.ok(), found.refused())
    expected = {"200": 1, "503": 1, "broken off": 1, "no answer in 8 s": 1, "no free connection": 1}
    assert expected == found.counts()
    assert ([200, 503], 2) == (found.first(2).status, len(found.first(2)))


@contextmanager
def serving(answer: Callable[[int], bytes | None]) -> Iterator[int]:
    """Give each request an answer by its number; None ends its connection without one."""
    numbers = iter(range(1_000))
    lock = threading.Lock()

    def serve(connected: socket.socket) -> None:
        with connected:
            while connected.recv(len(REQUEST), socket.MSG_WAITALL) == REQUEST:
                with lock:
                    said = answer(next(numbers))
                if said is None:
                    return
                for part in (said[:9], said[9:]):  # an answer may come in two
                    connected.sendall(part)

    def accept() -> None:
        while True:
            try:
                connected, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=serve, args=(connected,)))
            threads[-1].start()

    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        accepting = threading.Thread(target=accept)
        accepting.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
        for thread in threads:
            thread.join()


def test_answers_are_told_apart() -> None:
    """Each request has the status of its own answer; a connection that broke is told as that."""
    said = [OK, BUSY, None, OK]
    with serving(lambda number: said[number]) as port:
        found = play(port, [REQUEST] * 4, [0.0, 0.05, 0.1, 0.15])
    assert [200, 503, 2, 200] == list(found.status)
    assert all(0 <= found.took_s[number] < GIVES_UP_S for number in (0, 1, 3))


def test_time_runs_from_when_a_request_was_due() -> None:
    """A server that stands still is charged for all who are due meanwhile."""
    released_s: list[float] = []

    def answer(number: int) -> bytes:
        if number == 0:  # all others wait for the same lock
            time.sleep(0.2)
            released_s.append(time.perf_counter())
        return OK

    with serving(answer) as port:
        found = play(port, [REQUEST] * 4, [0.0, 0.03, 0.06, 0.09])
    assert [200] * 4 == list(found.status)
    ends_s = map(sum, zip(found.due_s, found.took_s, strict=True))
    assert min(ends_s) + found.began_s >= released_s[0]


def test_no_free_connection() -> None:
    """Past the bound of connections a request is not sent, and counts as such."""
    wanted = openloop.KEPT + 3
    with serving(lambda _number: OK) as port:
        found = play(port, [REQUEST] * wanted, [0.0] * wanted, connections_max=openloop.KEPT)
    assert {"200": openloop.KEPT, "no free connection": 3} == found.counts()
