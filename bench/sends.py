"""
The way out: how fast sends are accepted, and what a burst of them does to callbacks.

Programs of the machine send as fast as they get their answers, while callbacks come at their own
rate. Plivo is the simulator, and called at the pace that an account has there.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from . import openloop, prepared, rounds
from .kept import by_daemon, judge
from .openloop import percentile
from .prepared import Stock, fact_of
from .processes import Cores, Daemon, daemon, simulator
from .servers import OURS

COUNT = 10_000
LIST = 1_000
CALLERS = 16
"""Connections that singles come over at once."""
LISTERS = 2
"""Connections that lists come over."""

PACE = 60
"""API calls a second: Plivo allows 300 in five seconds."""

SHARE = 0.25
"""Of the top rate, at which callbacks come meanwhile."""

_ALONE_S, _SINGLES_S, _LISTS_S, _PACED_S = 4.0, 12.0, 6.0, 5.0
_LEAD_S = 1.0
"""How long callbacks come alone before sends do."""


@dataclass(frozen=True, slots=True)
class Sends:
    """What was found; accepted means committed, and callbacks' times are p99."""

    callbacks_per_second: float
    singles_per_second: float
    lists_per_second: float
    alone_p99_ms: float
    singles_p99_ms: float
    lists_p99_ms: float
    calls_per_second: float
    paced_cpu: float
    """Share of a core that sending at that pace takes."""


def measure(folder: Path, cores: Cores, top: float) -> Sends:
    """Measure it; *top* is the rate of callbacks that the daemon can take."""
    with (
        simulator(folder, cores.load) as api_url,
        daemon(folder, cores.server, api_url=api_url, per_second=PACE) as running,
    ):
        bench = _Bench(running, top * SHARE)
        single_rate = bench.sends(_singles("singles"), CALLERS)
        list_rate = bench.sends(_lists("lists"), LISTERS)
        alone = bench.callbacks(_ALONE_S)
        beside_singles = bench.burst(_singles("singles beside"), _SINGLES_S, CALLERS)
        beside_lists = bench.burst(_lists("lists beside"), _LISTS_S, LISTERS)
        calls, cpu = _paced(running)
        judge(OURS, by_daemon(running.store), bench.told, exactly=False, merges=True)
        _count(running)
    return Sends(
        callbacks_per_second=top * SHARE,
        singles_per_second=single_rate,
        lists_per_second=list_rate,
        alone_p99_ms=percentile(alone, 0.99) * 1e3,
        singles_p99_ms=percentile(beside_singles, 0.99) * 1e3,
        lists_p99_ms=percentile(beside_lists, 0.99) * 1e3,
        calls_per_second=calls,
        paced_cpu=cpu,
    )


def _singles(tag: str) -> Iterable[bytes]:
    return prepared.of_sends(COUNT, tag)


def _lists(tag: str) -> Iterable[bytes]:
    return prepared.of_sends(COUNT // LIST, tag, to_each=LIST)


def _paced(running: Daemon) -> tuple[float, float]:
    """Watch the outbox being emptied: API calls a second, and the share of a core."""
    before, cpu_s, began_s = _waiting(running), running.cpu_s, time.monotonic()
    time.sleep(_PACED_S)
    took_s = time.monotonic() - began_s
    return (before - _waiting(running)) / took_s, (running.cpu_s - cpu_s) / took_s


def _waiting(running: Daemon) -> int:
    counts: dict[str, int] = running.json("/stats")["messages"]
    return counts.get("pending", 0)


def _count(running: Daemon) -> None:
    """Look whether all that was accepted is there."""
    query = "SELECT count(*) FROM messages WHERE tag = ?"
    with closing(sqlite3.connect(f"file:{running.store}?mode=ro", uri=True)) as store:
        for tag in ("singles", "lists", "singles beside", "lists beside"):
            (kept,) = store.execute(query, (tag,)).fetchone()
            if kept != COUNT:
                raise SystemExit(f"bench: of {COUNT} {tag} that were accepted {kept} are kept")


class _Bench:
    """Callbacks at one rate, alone or beside a burst of sends."""

    def __init__(self, running: Daemon, per_second: float) -> None:
        self._running, self._per_second = running, per_second
        self._stock = Stock(random.Random(7))
        self.told: list[tuple[str, str]] = []

    def callbacks(self, seconds: float) -> list[float]:
        """Give how long each took, in seconds."""
        took_s, _ = self._play(*self._due(seconds))
        return took_s

    def sends(self, sends: Iterable[bytes], connections: int) -> float:
        """Play *sends*, and give how many messages were accepted a second."""
        return COUNT / self._send(sends, connections)

    def burst(self, sends: Iterable[bytes], seconds: float, connections: int) -> list[float]:
        """Give the times of those callbacks that were due while *sends* were played."""
        due = self._due(seconds)
        with ThreadPoolExecutor(1) as beside:
            sending = beside.submit(self._send_later, sends, connections)
            took_s, due_s = self._play(*due)
            began_s, ended_s = sending.result()
        return [t for t, due in zip(took_s, due_s, strict=True) if began_s <= due <= ended_s]

    def _send_later(self, sends: Iterable[bytes], connections: int) -> tuple[float, float]:
        """Give when it began and ended."""
        time.sleep(_LEAD_S)
        began_s = time.perf_counter()
        self._send(sends, connections)
        return began_s, time.perf_counter()

    def _send(self, sends: Iterable[bytes], connections: int) -> float:
        """Give how long it took from first request to last answer, in seconds."""
        file = self._running.folder / "sends"
        prepared.write(sends, file)
        played = rounds.play(
            OURS,
            self._running,
            file,
            connections=connections,
            status=HTTPStatus.ACCEPTED,
            port=self._running.api_port,
        )
        return played.seconds

    def _due(self, seconds: float) -> tuple[Sequence[bytes], Sequence[float]]:
        """Make callbacks for so long, and say when each is due."""
        due_s = openloop.schedule((self._per_second, seconds))
        return self._stock.take(OURS, len(due_s)), due_s

    def _play(
        self, requests: Sequence[bytes], due_s: Sequence[float]
    ) -> tuple[list[float], list[float]]:
        answers = openloop.play(self._running.port, requests, due_s)
        if answers.refused():
            raise SystemExit(f"bench: callbacks beside sends are answered {answers.counts()}")
        self.told += (fact_of(requests[number]) for number in answers.ok())
        return answers.waits_s(), [answers.began_s + each for each in due_s]
