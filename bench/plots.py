"""The plots of RESULTS.md, as SVG with text as text, the same bytes for the same figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .latency import Latency
from .overload import BIN_S, BURST_S, Overload
from .results import BARE, REFS, Results
from .rounds import Rates
from .servers import OURS

mpl.rcParams["svg.fonttype"] = "none"
mpl.rcParams["svg.hashsalt"] = "plivostatusd"
mpl.rcParams["font.family"] = "sans-serif"

_OURS, _OTHERS = "#0b6e4f", "#9aa5b1"
_LINES = ("#0b6e4f", "#c8553d", "#3d5a80", "#e0a458")


def draw(results: Results, folder: Path) -> None:
    """Write one file for each kind of figure that there is."""
    folder.mkdir(exist_ok=True)
    if results.rates:
        _save(_rates(results.rates), folder / "rates.svg")
    if results.latency:
        _save(_latency(results.latency), folder / "latency.svg")
    if results.overload:
        _save(_overload(results.overload), folder / "overload.svg")


def _save(figure: Figure, file: Path) -> None:
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    # Matplotlib ends some lines with blanks.
    lines = file.read_text().splitlines()
    file.write_text("".join(f"{line.rstrip()}\n" for line in lines))


def _rates(rates: Mapping[str, Rates]) -> Figure:
    figure = Figure(figsize=(9, 0.5 + 2.4 * len(rates)), layout="constrained")
    axes = figure.subplots(len(rates), 1, squeeze=False, sharex=True)[:, 0]
    titles = {BARE: "every callback a new message's", REFS: "three callbacks of each message sent"}
    for axis, (path, found) in zip(axes, rates.items(), strict=True):
        _bars(axis, {name: found.per_second(name) for name in found.rounds})
        axis.set_title(titles[path], loc="left", fontsize=10)
    axes[-1].set_xlabel("requests a second on one core: median, least and most of the rounds")
    return figure


def _bars(axis: Axes, values: Mapping[str, list[float]]) -> None:
    names = sorted(values, key=lambda name: median(values[name]))
    middles = [median(values[name]) for name in names]
    errors = [
        [middle - min(values[name]) for name, middle in zip(names, middles, strict=True)],
        [max(values[name]) - middle for name, middle in zip(names, middles, strict=True)],
    ]
    colours = [_OURS if name == OURS else _OTHERS for name in names]
    axis.barh(names, middles, xerr=errors, color=colours, ecolor="#444444", capsize=2)
    for place, name in enumerate(names):
        axis.annotate(
            f"  {middles[place]:,.0f}", (max(values[name]), place), va="center", fontsize=8
        )
    _plain(axis)


def _latency(latency: Mapping[str, Latency]) -> Figure:
    figure = Figure(figsize=(9, 3), layout="constrained")
    axis = figure.subplots()
    height = 0.8 / len(latency)
    for number, (name, each) in enumerate(latency.items()):
        values = [each.p50_ms, each.p99_ms, each.p999_ms]
        places = [place - number * height for place in (2, 1, 0)]
        label = f"{name}, {each.per_second:,.0f}/s"
        axis.barh(places, values, height * 0.9, color=_LINES[number], label=label)
        for place, value in zip(places, values, strict=True):
            axis.annotate(f" {value:.1f}", (value, place), va="center", fontsize=8)
    middle = 0.4 - height / 2
    axis.set_yticks([2 - middle, 1 - middle, -middle], ["p50", "p99", "p99.9"])
    axis.set_xscale("log")
    axis.set_xlabel("ms until 200, at half of each server's own top rate")
    axis.legend(frameon=False, fontsize=8)
    _plain(axis)
    return figure


def _overload(found: Mapping[str, Overload]) -> Figure:
    figure = Figure(figsize=(9, 5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    for number, (name, each) in enumerate(found.items()):
        moments = [place * BIN_S for place in range(len(each.bins))]
        shares = [100 * one.ok / one.offered if one.offered else 0 for one in each.bins]
        above.plot(moments, shares, color=_LINES[number], label=name)
        below.plot(moments, [one.p99_ms for one in each.bins], color=_LINES[number])
    above.set_ylabel("answered with 200, %")
    above.set_ylim(0, 105)
    above.legend(frameon=False, fontsize=8)
    below.set_ylabel("p99 of 200s, ms")
    below.set_yscale("log")
    below.set_xlabel("s; twice the top rate at first, half of it from the line on; by when due")
    for axis in (above, below):
        axis.axvline(BURST_S, color="#444444", linewidth=0.8, linestyle=":")
        _plain(axis)
    return figure


def _plain(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8)
