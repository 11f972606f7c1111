"""What was promised beforehand, and whether it was reached."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from .at_rest import Rest
from .latency import Latency
from .overload import Overload
from .results import BARE, REFS, Results
from .sends import Sends
from .servers import OURS

RATIOS = {
    "Fastify, log": 1.0,
    "Fastify, SQLite": 5.0,
    "Fastify, PostgreSQL": 2.0,
    "Tornado ok": 3.0,
    "httptools ok": 0.6,
}
"""How many times its rate ours is at least."""

TIMES = "\N{MULTIPLICATION SIGN}"

Row = tuple[str, str, str, str]


def rows(results: Results) -> Iterator[Row]:
    """Give a row for each target of which something was measured."""
    yield from _of_rates(results)
    if results.latency:
        yield from _of_latency(results.latency)
    if OURS in results.overload:
        yield from _of_overload(results.overload[OURS])
    if results.sends:
        yield from _of_sends(results.sends)
    if results.rest:
        yield from _of_rest(results.rest)


def _row(what: str, target: str, found: str, *, met: bool) -> Row:
    return what, target, found, "met" if met else "**missed**"


def _of_rates(results: Results) -> Iterator[Row]:
    for name, least in RATIOS.items():
        for path, said in ((BARE, "new messages"), (REFS, "refs")):
            if path in results.rates:
                ratio = median(results.rates[path].ratios(OURS, name))
                what = f"rate against {name}, {said}"
                yield _row(what, f"≥ {least:g} {TIMES}", f"{ratio:.2f} {TIMES}", met=ratio >= least)


def _of_latency(latency: dict[str, Latency]) -> Iterator[Row]:
    ours_ms = latency[OURS].p99_ms
    yield _row("p99 at half the top rate", "< 25 ms", f"{ours_ms:.1f} ms", met=ours_ms < 25)
    for name, each in latency.items():
        if name != OURS:
            target = f"< {each.p99_ms:.1f} ms"
            what = f"the same, against {name}"
            yield _row(what, target, f"{ours_ms:.1f} ms", met=ours_ms < each.p99_ms)


def _of_overload(found: Overload) -> Iterator[Row]:
    memory, well_s = found.memory_mib, found.recovered_s
    said = "not while watched" if well_s is None else f"{well_s:.1f} s"
    met = well_s is not None and well_s <= 2
    yield _row("memory at twice the top rate", "≤ 80 MiB", f"{memory:.0f} MiB", met=memory <= 80)
    yield _row("well again after that", "≤ 2 s", said, met=met)


def _of_sends(found: Sends) -> Iterator[Row]:
    for what, least, rate in (
        ("sends accepted, single", 2_000, found.singles_per_second),
        ("sends accepted, in lists", 10_000, found.lists_per_second),
    ):
        yield _row(what, f"≥ {least:,}/s", f"{rate:,.0f}/s", met=rate >= least)
    for what, p99_ms in (("single", found.singles_p99_ms), ("in lists", found.lists_p99_ms)):
        ratio = p99_ms / found.alone_p99_ms
        name = f"callbacks' p99 beside sends, {what}"
        yield _row(name, f"≤ 1.5 {TIMES}", f"{ratio:.1f} {TIMES}", met=ratio <= 1.5)
    share = found.paced_cpu
    yield _row("60 API calls a second", "< 25% of a core", f"{share:.0%}", met=share < 0.25)


def _of_rest(rest: Rest) -> Iterator[Row]:
    ready_s, show_s, memory = (
        median(each) for each in (rest.ready_s, rest.show_s, rest.memory_mib)
    )
    wakeups = rest.wakeups_per_second
    yield _row("start to ready", "≤ 0.4 s", f"{ready_s:.2f} s", met=ready_s <= 0.4)
    yield _row("memory, idle", "≤ 45 MiB", f"{memory:.1f} MiB", met=memory <= 45)
    yield _row("`plivostatusctl show`", "≤ 80 ms", f"{show_s * 1e3:.0f} ms", met=show_s <= 0.08)
    yield _row("wake-ups, idle", "≤ 2/s", f"{wakeups:.1f}/s", met=wakeups <= 2)
    idle = rest.idle_cpu
    yield _row("processor time, idle", "0.0%", f"{idle:.1%}", met=idle < 0.0005)
