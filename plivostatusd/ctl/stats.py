"""Show how many messages have which status, and how the outbox does."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from plivostatusd.ctl.context import Run
from plivostatusd.ctl.errors import DONE
from plivostatusd.ctl.filters import add_period
from plivostatusd.ctl.table import Column
from plivostatusd.ctl.visible import visible

WORDS = ""
_COLUMNS = (Column("status", least=len("undelivered")), Column("messages", right=True))


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the period."""
    add_period(parser)


def run(run: Run) -> int:
    """Ask for the figures and print them."""
    period = {"since": run.options.since, "until": run.options.until}
    query = {name: value for name, value in period.items() if value is not None}
    stats = run.client.get("/stats", query)
    if run.output.as_json:
        run.output.document(stats)
        return DONE
    counts: dict[str, int] = stats.get("messages") or {}
    run.output.table(_COLUMNS, [[visible(name), visible(n)] for name, n in counts.items()])
    run.output.line("")
    run.output.pairs(_summary(stats))
    return DONE


def _summary(stats: dict[str, Any]) -> list[tuple[str, str]]:
    ratio = stats.get("delivery_ratio")
    outbox: dict[str, Any] = stats.get("outbox") or {}
    return [
        ("total", visible(stats.get("total"))),
        ("open", visible(stats.get("open"))),
        ("delivered", visible(None if ratio is None else f"{ratio:.1%}")),
        *((f"outbox {name}", visible(value)) for name, value in outbox.items()),
    ]
