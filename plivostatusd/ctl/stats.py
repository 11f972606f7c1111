"""
Show how many messages ended how, how long deliveries took, and the outbox.

Of all messages, or of those that the options mean; --per tells them apart by
day, status, country, carrier, tag or error. The time of delivery is Plivo's
own, from sent to delivered, for as many as both are known of.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from plivostatusd.ctl import filters
from plivostatusd.ctl.chart import bars
from plivostatusd.ctl.client import records
from plivostatusd.ctl.context import Run
from plivostatusd.ctl.errors import DONE
from plivostatusd.ctl.filters import add_filters, add_period
from plivostatusd.ctl.list import count
from plivostatusd.ctl.options import add_csv
from plivostatusd.ctl.table import Column
from plivostatusd.ctl.timeline import span
from plivostatusd.ctl.visible import visible

WORDS = ""
PARTS = ("day", "status", "country", "carrier", "tag", "error")
_FILTERS = (*filters.ABOUT_MESSAGES, "since", "until", "per", "limit")
_COLUMNS = (
    Column("status", least=len("undelivered")),
    Column("messages", right=True),
    Column(""),
)
_FIGURES = (
    Column("messages", right=True),
    Column("open", right=True),
    Column("delivered", right=True),
    Column("p50", right=True),
    Column("p95", right=True),
    Column(""),
)
_TITLES = ("messages", "open", "delivery_ratio", "p50_seconds", "p95_seconds")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the filters, the period, and what is told apart."""
    add_filters(parser)
    add_period(parser)
    parser.add_argument("--per", choices=PARTS, metavar="PART", help=f"one of {', '.join(PARTS)}")
    parser.add_argument("--limit", type=count, metavar="N", help="with --per: so many (100)")
    add_csv(parser)


def run(run: Run) -> int:
    """Ask for the figures and print them."""
    stats = run.client.get("/stats", filters.query(run.options, *_FILTERS))
    part: str | None = run.options.per
    if run.output.as_json:
        run.output.document(stats)
    elif run.options.csv:
        run.output.csv(_csv(stats, part))
    elif part is None:
        _print_whole(run, stats)
    else:
        _print_groups(run, stats, part)
    return DONE


def _print_whole(run: Run, stats: dict[str, Any]) -> None:
    counts: dict[str, int] = stats.get("messages") or {}
    drawn = bars(list(counts.values()), blocks=run.output.draws_blocks)
    rows = [
        [visible(name), visible(n), bar]
        for (name, n), bar in zip(counts.items(), drawn, strict=True)
    ]
    run.output.table(_COLUMNS, rows)
    run.output.line("")
    run.output.pairs(_summary(stats))


def _print_groups(run: Run, stats: dict[str, Any], part: str) -> None:
    groups = records(stats, "groups")
    drawn = bars([each.get("total") or 0 for each in groups], blocks=run.output.draws_blocks)
    rows = [
        [_label(group, part), *_figures(group), bar]
        for group, bar in zip(groups, drawn, strict=True)
    ]
    run.output.table((Column(part), *_FIGURES), rows)
    left_out: dict[str, int] = stats.get("left_out") or {}
    if left_out.get("groups"):
        run.output.note(
            f"{left_out['groups']} more, of {left_out.get('messages')} messages: --limit N"
        )


def _label(group: dict[str, Any], part: str) -> str:
    countries = "/".join(str(each) for each in group.get("iso") or () if each)
    return f"{visible(group.get(part))} {visible(countries) if countries else ''}".rstrip()


def _figures(group: dict[str, Any]) -> list[str]:
    return [
        visible(group.get("total")),
        visible(group.get("open")),
        _ratio(group),
        _took(group, "p50"),
        _took(group, "p95"),
    ]


def _csv(stats: dict[str, Any], part: str | None) -> list[list[Any]]:
    """Give a line a group; without groups, a line a status."""
    if part is None:
        counts: dict[str, int] = stats.get("messages") or {}
        return [["status", "messages"], *([name, n] for name, n in counts.items())]
    rows: list[list[Any]] = [[part, *_TITLES]]
    for group in records(stats, "groups"):
        took: dict[str, Any] = group.get("delivery_seconds") or {}
        figures = [group.get("total"), group.get("open"), group.get("delivery_ratio")]
        rows.append([group.get(part), *figures, took.get("p50"), took.get("p95")])
    return rows


def _ratio(counted: dict[str, Any]) -> str:
    ratio = counted.get("delivery_ratio")
    return visible(None if ratio is None else f"{ratio:.1%}")


def _took(counted: dict[str, Any], name: str) -> str:
    took = (counted.get("delivery_seconds") or {}).get(name)
    return visible(None if took is None else span(took))


def _summary(stats: dict[str, Any]) -> list[tuple[str, str]]:
    outbox: dict[str, Any] = stats.get("outbox") or {}
    return [
        ("total", visible(stats.get("total"))),
        ("open", visible(stats.get("open"))),
        ("delivered", _ratio(stats)),
        ("delivery p50", _took(stats, "p50")),
        ("delivery p95", _took(stats, "p95")),
        *((f"outbox {name}", visible(value)) for name, value in outbox.items()),
    ]
