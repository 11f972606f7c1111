"""How long a callback waits for its 200 at half the rate that a server takes, in turn on each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from . import openloop
from .kept import Fact, judge
from .openloop import Answers, percentile
from .prepared import Stock, fact_of
from .servers import OURS, Running

TURNS = 3
SECONDS = 4.0
SHARE = 0.5
"""Of the top rate."""


@dataclass(frozen=True, slots=True)
class Latency:
    """All turns of one server together, in milliseconds from the moment when a request was due."""

    per_second: float
    answered: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    late_p99_ms: float
    """How late requests were sent: what of the above is the generator's."""
    unanswered: int
    """Counted above as if they had taken as long as Plivo waits."""


Told = dict[str, list[Fact]]
"""By a server's name, what was answered with 200 so far."""


def measure(
    running: Mapping[str, Running], tops: Mapping[str, float], stock: Stock, told: Told
) -> dict[str, Latency]:
    """
    Measure all servers.

    Raises:
        SystemExit: one did not answer 200 at half its rate.
    """
    answers: dict[str, list[Answers]] = {name: [] for name in running}
    for _ in range(TURNS):
        for name, server in running.items():
            due_s = openloop.schedule((tops[name] * SHARE, SECONDS))
            answers[name].append(play(name, server, due_s, stock, told))
    for name, turns in answers.items():
        for turn in turns:
            if turn.refused():
                raise SystemExit(f"bench: {name} at half its rate answers {turn.counts()}")
    return {name: _pooled(tops[name] * SHARE, turns) for name, turns in answers.items()}


def play(name: str, server: Running, due_s: openloop.Moments, stock: Stock, told: Told) -> Answers:
    """Play one turn, and add to *told* what was answered with 200."""
    requests = stock.take(name, len(due_s))
    answers = openloop.play(server.process.port, requests, due_s)
    told.setdefault(name, []).extend(fact_of(requests[number]) for number in answers.ok())
    return answers


def judge_all(running: Mapping[str, Running], told: Told) -> None:
    """Look whether each server kept what it answered with 200; more may be there, unanswered."""
    for name, server in running.items():
        assert server.kept is not None
        judge(name, server.kept(), told[name], exactly=False, merges=name == OURS)


def _pooled(per_second: float, turns: list[Answers]) -> Latency:
    took_ms = [each * 1e3 for turn in turns for each in turn.waits_s()]
    late_ms = [each * 1e3 for turn in turns for each in turn.late_s]
    p50, p99, p999 = (percentile(took_ms, share) for share in (0.5, 0.99, 0.999))
    unanswered = sum(len(turn) - len(turn.ok()) for turn in turns)
    return Latency(per_second, len(took_ms), p50, p99, p999, percentile(late_ms, 0.99), unanswered)
