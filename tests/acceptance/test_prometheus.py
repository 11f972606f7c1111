"""What is shipped for Prometheus: rules that ring when they should, on metrics that there are."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from plivostatusd.ctl.commands import SUMMARIES
from tests.acceptance.daemon import ROOT, running
from tests.acceptance.prometheus_cases import CASES, Case

SHIPPED = ROOT / "packaging" / "prometheus"
RULES = SHIPPED / "plivostatusd.rules.yml"
DASHBOARD = SHIPPED / "plivostatusd-dashboard.json"
FOREIGN = {
    # Not the daemon's: Prometheus' own, check_plivostatus --textfile's, node_exporter's.
    *("up", "plivostatusd_up", "node_textfile_mtime_seconds"),
    # There once a connection was cut, and once the front door was probed.
    "plivostatusd_connections_cut_total",
    *("plivostatusd_probe_successful", "plivostatusd_certificate_expiry_timestamp_seconds"),
}
SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\{([^}]*)\}")
OUR_NAME = re.compile(r"\bplivostatusd[_:][\w:]*")
MATCHER = re.compile(r'(\w+)(=~|=|!~|!=)"([^"]*)"')
Exported = dict[str, list[dict[str, str]]]


def alerts() -> dict[str, str]:
    """Return each alert of the file, with all that stands below its name."""
    blocks = RULES.read_text().split("      - alert: ")[1:]
    return {block.split("\n", 1)[0]: block for block in blocks}


def expressions() -> Iterator[str]:
    """Give every expression of the rules and of the dashboard, its variables filled in."""
    text = RULES.read_text()
    for block in re.findall(r" expr: (.*\n(?: {10}.*\n)*)", text):
        yield block.removeprefix("|\n").strip()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")


def promtool(*words: str | Path) -> None:
    """Run it, and show what it says when it fails."""
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def tried(folder: Path, *cases: Case) -> None:
    """Have promtool's own engine see which alerts fire in each world."""
    tests = [
        {
            "name": str(case),
            "interval": f"{case.step}m",
            "input_series": [{"series": k, "values": v} for k, v in case.series.items()],
            "promql_expr_test": [
                {
                    "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                    "eval_time": f"{case.minute}m",
                    "exp_samples": [{"labels": f'{{alertname="{case.alert}"}}', "value": 1}]
                    * case.fires,
                }
            ],
        }
        for case in cases
    ]
    (step,) = {f"{case.step}m" for case in cases}
    file = folder / "test.yml"
    file.write_text(  # JSON, which is YAML as well
        json.dumps({"rule_files": [str(RULES)], "evaluation_interval": step, "tests": tests})
    )
    promtool("test", "rules", file)


def test_rules_are_good() -> None:
    """Prometheus itself takes the rules, and finds nothing to say against them."""
    promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)


def test_every_alert_is_tried() -> None:
    """No alert is left out of these tests, and none of them is of one that is not there."""
    assert set(alerts()) == {case.alert for case in CASES}
    for kind in (True, False):
        assert set(alerts()) == {case.alert for case in CASES if case.fires is kind}


@pytest.mark.parametrize("name", alerts())
def test_alerts(tmp_path: Path, name: str) -> None:
    """Each alert fires in the worlds that it is for, alone, and is silent in those beside them."""
    cases = sorted((case for case in CASES if case.alert == name), key=attrgetter("step"))
    for _, alike in groupby(cases, key=attrgetter("step")):
        tried(tmp_path, *alike)


def test_a_wrong_case_is_found(tmp_path: Path) -> None:
    """What promtool is asked can fail: a world in which the wrong alert is expected does."""
    case = next(case for case in CASES if case.fires)
    for wrong in (replace(case, alert="PlivostatusdProbeFailed"), replace(case, fires=False)):
        with pytest.raises(AssertionError, match=case.alert):
            tried(tmp_path, wrong)


@pytest.mark.parametrize("name", alerts())
def test_annotations(name: str) -> None:
    """Each alert says what is wrong and where, how bad it is, and what to type."""
    block = alerts()[name]
    said = dict(re.findall(r"^ {10}(summary|description|runbook): (.+)$", block, re.MULTILINE))
    assert {"summary", "description", "runbook"} == set(said)
    assert "$labels.instance" in said["summary"]
    assert re.search(r"severity: (critical|warning)\}", block)
    # `doctor` looks into everything; it is named whether or not this tree has it.
    typed = set(re.findall(r"plivostatusctl (\w+)", said["runbook"]))
    assert typed <= {*SUMMARIES, "doctor"}


async def exported(tmp_path: Path) -> Exported:
    """Give what a daemon exports that has sent a message and heard of it: labels by metric."""
    async with running(tmp_path) as (daemon, simulator):
        name = (await daemon.send("+14155550001")).json["id"]
        await daemon.until(lambda statuses: statuses.get(name) == "delivered")
        await daemon.deliver(daemon.callback("delivered", str(uuid4())))
        await daemon.deliver(daemon.callback("delivered", str(uuid4()), "/plivo/status"))
        text = (await daemon.api("GET", "/metrics")).text
        await simulator.idle()
    found: Exported = {}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? \S+$", text, re.MULTILINE):
        found.setdefault(name, []).append(dict(re.findall(r'(\w+)="([^"]*)"', labels)))
    return found


def unknown(expression: str, there: Exported) -> Iterator[str]:
    """Give what *expression* looks for and nobody exports: metrics, labels, and their values."""
    recorded = set(re.findall(r"- record: (\S+)", RULES.read_text()))
    names = set(OUR_NAME.findall(re.sub(r'"[^"]*"', '""', expression)))
    yield from names - set(there) - FOREIGN - recorded
    for name, matchers in SELECTOR.findall(expression):
        if name in FOREIGN | recorded:
            continue
        for label, operator, values in MATCHER.findall(matchers):
            if label == "instance":
                continue
            known = {series.get(label) for series in there.get(name, [])}
            wanted = values.split("|") if "~" in operator else [values]
            yield from (f"{name} {label}={each}" for each in wanted if each not in known)


async def test_expressions_use_what_there_is(tmp_path: Path) -> None:
    """Rules and dashboard ask for metrics, labels and values of labels that a daemon exports."""
    there = await exported(tmp_path)
    asked = list(expressions())
    assert len(asked) > 40
    assert [] == [missing for each in asked for missing in unknown(each, there)]


def test_what_is_not_there_is_found() -> None:
    """The check of expressions finds a metric, a label and a value that nobody exports."""
    there: Exported = {"plivostatusd_sends_total": [{"outcome": "accepted"}]}
    for bad in (
        "plivostatusd_send_total > 0",
        'plivostatusd_sends_total{outcome="taken"}',
        'plivostatusd_sends_total{result="accepted"}',
        'plivostatusd_sends_total{outcome=~"accepted|taken"}',
    ):
        assert 1 == len(list(unknown(bad, there))), bad
    assert [] == list(unknown('rate(plivostatusd_sends_total{outcome="accepted"}[5m])', there))


def test_dashboard(tmp_path: Path) -> None:
    """The dashboard's expressions are good PromQL, and every panel says what it shows."""
    rules = [{"record": f"each:{n}", "expr": expr} for n, expr in enumerate(expressions())]
    file = tmp_path / "all.yml"
    file.write_text(json.dumps({"groups": [{"name": "all", "rules": rules}]}))
    promtool("check", "rules", file)
    panels: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    assert len(panels) == len({panel["id"] for panel in panels})
    for panel in panels:
        assert panel["title"]
        assert panel["type"] == "row" or panel["description"], panel["title"]


async def test_an_idle_daemon_rings_nothing(tmp_path: Path) -> None:
    """Whatever a daemon exports that nobody uses, hours of it set off no alert."""
    async with running(tmp_path) as (daemon, _):
        text = (await daemon.api("GET", "/metrics")).text
    found = dict(re.findall(r"^(plivostatusd_\S+) (\S+)$", text, re.MULTILINE))
    series = {name: f"{float(value):f}x200" for name, value in found.items()}
    tried(tmp_path, Case("none", fires=False, minute=200, series=series, about="idle"))
