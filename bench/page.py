"""
What a run found, as Markdown: tables for the terminal, and the one page RESULTS.md.

Whatever stands below "## By hand" in RESULTS.md was measured otherwise, and is kept as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median

from . import overload, sends, targets
from .at_rest import Rest
from .latency import Latency
from .overload import Overload
from .results import BARE, REFS, Results
from .rounds import CONNECTIONS, Rates
from .sends import Sends
from .servers import KINDS, OURS

QUIET = 0.7
"""A load average above this, before the start, is somebody else's."""

BY_HAND = "## By hand\n"
PATHS = {
    BARE: "`/plivo/status`, every callback a new message's",
    REFS: "`/plivo/{ref}/status`, three callbacks of each message that was sent",
}


def write(results: Results, file: Path) -> None:
    """Write the page, and leave the part that is kept by hand."""
    old = file.read_text() if file.exists() else ""
    by_hand = old[old.index(BY_HAND) :] if BY_HAND in old else ""
    text = "\n\n".join(part for part in _parts(results) if part)
    file.write_text(f"{text}\n" + (f"\n{by_hand}" if by_hand else ""))


def _parts(results: Results) -> Iterable[str]:
    yield "# What was measured"
    yield (
        "Made by `make bench`; [README.md](README.md) says how, and what each server is. A ratio is"
        " the median of the rounds' own ratios, with the least and the most behind it."
    )
    if float(results.machine["load"]) > QUIET:
        yield (
            f"**The machine was busy** (load average {results.machine['load']} before the start):"
            " rates and times are worse than they are, and even ratios are rough."
        )
    yield "\n".join(f"- {name}: {what}" for name, what in results.machine.items())
    yield "## Against the targets"
    yield _table(("", "target", "found", ""), targets.rows(results))
    yield "## Side by side"
    yield _kinds()
    yield "![requests a second](plots/rates.svg)"
    for path in (BARE, REFS):
        if path in results.rates:
            yield of_rates(results.rates[path])
    if results.latency:
        yield "## At half the rate"
        yield of_latency(results.latency)
        yield "![latency](plots/latency.svg)"
    if results.overload:
        yield "## At twice the rate"
        yield of_overload(results.overload)
        yield "![overload](plots/overload.svg)"
    if results.sends:
        yield "## Sends"
        yield of_sends(results.sends)
    if results.rest:
        yield "## At rest"
        yield of_rest(results.rest)


def _kinds() -> str:
    rows = [(kind.name, kind.verifies, kind.durable) for kind in KINDS]
    return _table(("server", "verifies", "its 200 means"), rows)


def of_rates(rates: Rates) -> str:
    """Show one path's rounds."""
    head = ("server", "requests/s", "ours is", "p50 / p99", "CPU each", "memory")
    rows = []
    for name, rounds in rates.rounds.items():
        p50, p99 = (median(getattr(each, key) for each in rounds) for key in ("p50_ms", "p99_ms"))
        ratio = (
            "" if name == OURS else f"{spread(rates.ratios(OURS, name), '{:.2f}')} {targets.TIMES}"
        )
        rows.append(
            (
                name,
                spread(rates.per_second(name), "{:,.0f}"),
                ratio,
                f"{p50:.1f} / {p99:.1f} ms",
                f"{median(each.cpu_us for each in rounds):.0f} µs",
                f"{rates.memory_mib[name]:.0f} MiB",
            )
        )
    answered = sum(each.answered for each in rates.rounds[OURS])
    title = f"{PATHS[rates.path]}; {CONNECTIONS} connections, rounds: {len(rates.rounds[OURS])}."
    return (
        f"{title}\n\n{_table(head, rows)}\n\n"
        f"Each answered {answered:,} callbacks, all with 200. Each that stores or logs had all of"
        f" them, once, and none that was forged.{_stale(rates)}"
    )


def _stale(rates: Rates) -> str:
    """Say whose messages have a status that is not the last; ours never have."""
    found = [f"{count:,} of {name}" for name, count in rates.stale.items() if count]
    if not found:
        return " All messages had their last status."
    return (
        " Messages that were left with an old status, as callbacks overtook each other:"
        f" {', '.join(found)}."
    )


def of_latency(latency: Mapping[str, Latency]) -> str:
    """Show how long callbacks waited at half the top rate."""
    head = ("server", "callbacks/s", "p50", "p99", "p99.9", "sent late, p99")
    rows = [
        (
            name,
            f"{each.per_second:,.0f}",
            *(_ms(value) for value in (each.p50_ms, each.p99_ms, each.p999_ms, each.late_p99_ms)),
        )
        for name, each in latency.items()
    ]
    lost = [f"{each.unanswered:,} of {name}" for name, each in latency.items() if each.unanswered]
    said = f"\n\nNot answered, and counted as 8 s: {', '.join(lost)}." if lost else ""
    return _table(head, rows) + said


def of_overload(found: Mapping[str, Overload]) -> str:
    """Show what the bursts did."""
    head = ("server", "offered/s", "200s/s", "answers", "p50 / p99 of 200s", "memory", "well again")
    rows = []
    for name, each in found.items():
        counts = ", ".join(f"{count:,} {word}" for word, count in each.counts.items())
        well = f"not within {overload.AFTER_S:.0f} s"
        if each.recovered_s is not None:
            well = f"{each.recovered_s:.1f} s"
        rows.append(
            (
                name,
                f"{each.offered_per_second:,.0f}",
                f"{each.ok_per_second:,.0f}",
                counts,
                f"{_ms(each.p50_ms)} / {_ms(each.p99_ms)}",
                f"{each.memory_mib:.0f} MiB",
                well,
            )
        )
    late = max(each.late_p99_ms for each in found.values())
    return (
        f"{overload.BURST_S:.0f} s long, then half the rate for {overload.AFTER_S:.0f} s.\n\n"
        f"{_table(head, rows)}\n\nEvery 200 was found in its store. Requests were sent"
        f" {late:.1f} ms late at most (p99)."
    )


def of_sends(found: Sends) -> str:
    """Show the bursts of sends."""
    head = ("", "accepted/s, alone", "callbacks' p99 beside them")
    singles, lists = f"{sends.COUNT:,} single", f"{sends.COUNT:,} in lists of {sends.LIST:,}"
    rows = [
        ("no sends", "", _ms(found.alone_p99_ms)),
        (singles, f"{found.singles_per_second:,.0f}", _ms(found.singles_p99_ms)),
        (lists, f"{found.lists_per_second:,.0f}", _ms(found.lists_p99_ms)),
    ]
    return (
        f"{sends.CALLERS} callers, or {sends.LISTERS} with lists; first alone, then beside"
        f" {found.callbacks_per_second:,.0f} callbacks a second.\n\n"
        f"{_table(head, rows)}\n\nAll that was accepted was found in the store. Plivo was to be"
        f" called {sends.PACE} times a second, and was called {found.calls_per_second:.1f} times,"
        f" which took {found.paced_cpu:.0%} of a core."
    )


def of_rest(rest: Rest) -> str:
    """Show what a daemon takes that has nothing to do."""
    rows = [
        ("start of the process to 200 on `/ready`", f"{spread(rest.ready_s, '{:.2f}')} s"),
        ("memory, just started", f"{spread(rest.memory_mib, '{:.1f}')} MiB"),
        ("memory once it has sent, Plivo's SDK loaded", f"{rest.memory_after_send_mib:.1f} MiB"),
        ("processor time, idle", f"{rest.idle_cpu:.2%} of a core"),
        ("wake-ups, idle", f"{rest.wakeups_per_second:.1f} a second"),
        ("`plivostatusctl show`, the whole process", f"{spread(rest.show_s, '{:.3f}')} s"),
    ]
    return _table(("", "found, median (least to most)"), rows)


def spread(values: Sequence[float], form: str) -> str:
    """Write the median, and the least and the most."""
    least, middle, most = (form.format(pick(values)) for pick in (min, median, max))
    return f"{middle} ({least} to {most})"


def _ms(value: float) -> str:
    return f"{value:.1f} ms" if value < 100 else f"{value:,.0f} ms"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
