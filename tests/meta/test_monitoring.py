"""docs/monitoring.md tells of what there is: each metric with its labels, each alert."""

from __future__ import annotations

import asyncio
import re

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from plivostatusd.web.counts import Spread, Tally
from plivostatusd.web.failures import Failures
from plivostatusd.web.metrics import Metrics
from tests.meta.documents import DOCS, rows, words
from tests.meta.source import ROOT

TEXT = (DOCS / "monitoring.md").read_text("utf-8")
RULES = ROOT / "packaging" / "prometheus" / "plivostatusd.rules.yml"
_OURS = (MetricWrapperBase, Tally, Spread)
_TAILS = {"counter": "_total", "info": "_info"}


def exported(registry: CollectorRegistry) -> dict[str, tuple[str, ...]]:
    """Return the name of each metric, as it is spelled for a scrape, with its labels."""
    found = {}
    for collector in registry._collector_to_names:
        for family in collector.collect() if isinstance(collector, _OURS) else ():
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            if isinstance(collector, MetricWrapperBase) and family.type != "info":
                labels = set(collector._labelnames)  # of one without series, too
            found[family.name + _TAILS.get(family.type, "")] = tuple(sorted(labels))
    return found


def test_every_metric() -> None:
    """The table has every metric that is exported, with its labels, and no other."""
    metrics = Metrics()
    Failures(metrics.registry, asyncio.Event())
    metrics.probe_ended(successful=True)
    metrics.runs_on("uvloop", "httptools")
    metrics.certificate_seen(0.0)
    told = {words(cells[0])[0]: tuple(sorted(words(cells[1]))) for cells in rows(TEXT, "metric")}
    assert exported(metrics.registry) == told


def test_every_alert() -> None:
    """The table has every alert of the rules that are shipped, in their order, and no other."""
    alerts = re.findall(r"^ *- alert: (\w+)$", RULES.read_text("utf-8"), re.MULTILINE)
    assert alerts
    assert alerts == [words(cells[0])[0] for cells in rows(TEXT, "alert")]


def test_every_metric_of_the_alerts() -> None:
    """Whatever the alerts look at stands in the table, even what a metric's owner makes late."""
    told = {words(cells[0])[0] for cells in rows(TEXT, "metric")} | {"plivostatusd_up"}
    looked_at = set(re.findall(r"\bplivostatusd_[a-z_]+(?=[ ){\[])", RULES.read_text("utf-8")))
    assert looked_at
    assert set() == looked_at - told
