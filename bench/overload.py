"""What twice the rate that a server can take does to it, and how soon it is well again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from . import openloop
from .latency import Told, play
from .openloop import Answers, percentile
from .prepared import Stock
from .servers import Running

BURST_S, AFTER_S = 5.0, 6.0
BIN_S = 0.1
WELL_S = 0.1
"""A server is well while 99 of 100 are answered with 200 within this."""


@dataclass(frozen=True, slots=True)
class Bin:
    """A tenth of a second, of those that were due in it."""

    offered: int
    ok: int
    p99_ms: float
    """Of those answered with 200; NaN of none."""

    @property
    def is_well(self) -> bool:
        """Nearly all were answered, and soon."""
        return self.ok >= 0.99 * self.offered and not self.p99_ms > WELL_S * 1e3


@dataclass(frozen=True, slots=True)
class Overload:
    """One server's burst; what is not said to be of all is of those due in the burst."""

    offered_per_second: float
    counts: dict[str, int]
    ok_per_second: float
    p50_ms: float
    p99_ms: float
    late_p99_ms: float
    memory_mib: float
    """The most that its process ever had, PostgreSQL's not counted."""
    recovered_s: float | None
    """From the burst's end until it was well and stayed so; None: not while it was watched."""
    bins: list[Bin]
    """Of all."""


def measure(
    running: Mapping[str, Running], tops: Mapping[str, float], stock: Stock, told: Told
) -> dict[str, Overload]:
    """Give each server its burst, then half its rate."""
    found = {}
    for name, server in running.items():
        due_s = openloop.schedule((2 * tops[name], BURST_S), (tops[name] / 2, AFTER_S))
        answers = play(name, server, due_s, stock, told)
        found[name] = _judged(2 * tops[name], answers, server.process.resident_peak_mib)
    return found


def _judged(offered: float, answers: Answers, memory_mib: float) -> Overload:
    part = answers.first(sum(due_s < BURST_S for due_s in answers.due_s))
    took_ms = [part.took_s[number] * 1e3 for number in part.ok()]
    return Overload(
        offered_per_second=offered,
        counts=part.counts(),
        ok_per_second=_ok_within(answers, BURST_S) / BURST_S,
        p50_ms=percentile(took_ms, 0.5),
        p99_ms=percentile(took_ms, 0.99),
        late_p99_ms=percentile(part.late_s, 0.99) * 1e3,
        memory_mib=memory_mib,
        recovered_s=_recovered_s(bins := _bins(answers)),
        bins=bins,
    )


def _ok_within(answers: Answers, seconds: float) -> int:
    """Count the 200s that had come by then."""
    return sum(answers.due_s[n] + answers.took_s[n] <= seconds for n in answers.ok())


def _bins(answers: Answers) -> list[Bin]:
    count = round((BURST_S + AFTER_S) / BIN_S)
    offered, took_ms = [0] * count, [list[float]() for _ in range(count)]
    for due_s, took_s, status in zip(answers.due_s, answers.took_s, answers.status, strict=True):
        place = min(int(due_s / BIN_S), count - 1)
        offered[place] += 1
        if status == HTTPStatus.OK:
            took_ms[place].append(took_s * 1e3)
    return [
        Bin(each, len(times), percentile(times, 0.99))
        for each, times in zip(offered, took_ms, strict=True)
    ]


def _recovered_s(bins: list[Bin]) -> float | None:
    first = round(BURST_S / BIN_S)
    ill = [number for number in range(first, len(bins)) if not bins[number].is_well]
    if not ill:
        return 0.0
    if ill[-1] == len(bins) - 1:
        return None
    return (ill[-1] + 1 - first) * BIN_S
