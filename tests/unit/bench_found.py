"""What a run of the bench might have found, made up: every part of it, with round figures."""

from __future__ import annotations

from bench.at_rest import Rest
from bench.latency import Latency
from bench.overload import Bin, Overload
from bench.results import BARE, REFS, Results
from bench.rounds import Played, Rates
from bench.sends import Sends
from bench.servers import KINDS, OURS


def played(per_second: float) -> Played:
    """One round of a thousand requests at that rate."""
    return Played(1_000, 1_000, 1_000 / per_second, 2.0, 20.0, 0.2)


def rates(path: str, ours: list[float], others: list[float]) -> Rates:
    """Rounds of ours at these rates, and of each other server at those."""
    names = [kind.name for kind in KINDS]
    rounds = {name: [played(each) for each in others] for name in names}
    rounds[OURS] = [played(each) for each in ours]
    return Rates(path, rounds, dict.fromkeys(names, 50.0), dict.fromkeys(names, 0))


def latency(p99_ms: float) -> Latency:
    """Waits with that p99."""
    return Latency(1_000.0, 12_000, 1.0, p99_ms, 30.0, 0.1, 0)


def overload(memory_mib: float = 70.0, recovered_s: float | None = 0.5) -> Overload:
    """A burst of which a half was shed."""
    counts = {"200": 5_000, "503": 5_000}
    bins = [Bin(200, 100, 20.0), Bin(0, 0, float("nan"))]
    return Overload(2_000.0, counts, 1_000.0, 10.0, 900.0, 1.0, memory_mib, recovered_s, bins)


def results() -> Results:
    """A whole run."""
    return Results(
        {"load": "0.2", "system": "Debian"},
        {path: rates(path, [4_000.0, 6_000.0, 5_000.0], [1_000.0] * 3) for path in (BARE, REFS)},
        {OURS: latency(9.0), "Fastify, SQLite": latency(50.0)},
        {OURS: overload()},
        Sends(950.0, 2_500.0, 30_000.0, 6.0, 9.0, 12.0, 60.0, 0.2),
        Rest([0.3, 0.2, 0.4], [41.0, 41.5], 54.0, [0.04, 0.05], 0.0001, 0.1),
    )
