"""docs/troubleshooting.md has every event and every problem that somebody may look up in it."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import sys
from collections.abc import Iterator
from typing import Final

import pytest

import plivostatusd
from plivostatusd.ctl.doctor.check import Named
from plivostatusd.ctl.doctor.checks import CHECKS
from plivostatusd.domain.errors import Refusal
from plivostatusd.flows import ingest
from plivostatusd.store import binding
from plivostatusd.web import metrics
from tests.meta.documents import DOCS, rows, words
from tests.meta.source import PACKAGE, Module, modules

LOUD: Final = {"warning", "error", "exception", "critical"}
TEXT: Final = (DOCS / "troubleshooting.md").read_text("utf-8")
SPOKEN: Final = {
    "plivostatusd.flows.ingest": ingest._REMARKS_ALARMING,
    "plivostatusd.flows.outbox.calls": {binding.DUPLICATE_AT_PLIVO, binding.UUID_OF_ANOTHER},
}
"""The words that modules log as events without spelling them there."""
SOURCES: Final = [
    each for each in modules(PACKAGE) if not each.name.startswith(f"{PACKAGE}.simulator")
]


def levels(module: Module) -> Iterator[tuple[str, ast.Call]]:
    """Give each line that *module* logs, and the level; `level = log.error` counts as it."""
    renamed = {
        target.id: node.value.attr
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Assign) and is_log(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
        if isinstance(node.value, ast.Attribute)
    }
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            if is_log(node.func) and isinstance(node.func, ast.Attribute):
                yield node.func.attr, node
            elif isinstance(node.func, ast.Name) and node.func.id in renamed:
                yield "error", node  # whichever it is: one of them is loud


def is_log(node: ast.expr) -> bool:
    """Say whether *node* is a method of a logger of ours."""
    if not isinstance(node, ast.Attribute):
        return False
    return ast.unparse(node.value).rpartition(".")[2] in {"log", "logger"}


def events(module: Module) -> Iterator[tuple[str, str]]:
    """Give each event of *module* with its level."""
    for level, call in levels(module):
        told = call.args[0] if call.args else ast.Constant("")
        spelled = [node.value for node in ast.walk(told) if isinstance(node, ast.Constant)]
        if not spelled:
            assert module.name in SPOKEN, f"{module}:{call.lineno} says no event that can be read"
            spelled = [*SPOKEN[module.name]]
        yield from ((level, str(event)) for event in spelled if event)
    if module.name == "plivostatusd.log":
        yield from (("error", event) for event in its_own(module))


def its_own(log: Module) -> Iterator[str]:
    """Give the events that *log* itself makes lines of: a level each, whichever it is."""
    lines = [node for node in ast.walk(log.tree) if isinstance(node, ast.Dict)]
    for key, value in [pair for line in lines for pair in zip(line.keys, line.values, strict=True)]:
        if isinstance(key, ast.Constant) and key.value == "event":
            yield from [str(value.value)] if isinstance(value, ast.Constant) else []


def explained() -> set[str]:
    """Return every event that the document explains."""
    return {word for cells in rows(TEXT, "event") for word in words(cells[0])} | {
        word for cells in rows(TEXT, "you see") for word in words(cells[0])
    }


@pytest.mark.parametrize("module", SOURCES, ids=str)
def test_every_loud_event(module: Module) -> None:
    """Every event of the levels warning and above is explained, with what to do."""
    loud = {event for level, event in events(module) if level in LOUD}
    assert set() == loud - explained()


def test_loud_events_are_found() -> None:
    """The reader of sources misses none of the ways in which an event is logged here."""
    found = {event for each in SOURCES for level, event in events(each) if level in LOUD}
    assert {
        *("batch_failed", "callback_failed", "daemon_crashed", "duplicate_at_plivo"),
        *("start_refused", "callback_refused", "library_logged", "outbox_held", "story_ended"),
    } <= found
    assert len(found) > 40


def test_no_event_of_the_past() -> None:
    """What the document explains as an event is one that the program can log."""
    known = {event for each in SOURCES for _, event in events(each)}
    known |= {"message_reconciled"}  # logged as debug or info, whichever it is
    shown = {word for cells in rows(TEXT, "event") for word in words(cells[0])}
    assert set() == shown - known


def refusals() -> list[type[Refusal]]:
    """Return every refusal that there is, wherever it is declared."""
    for found in pkgutil.walk_packages(plivostatusd.__path__, f"{PACKAGE}."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    return list(_below(Refusal))


def _below(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


def test_every_problem() -> None:
    """Every problem's title stands in the document beside its type and status."""
    told = {(*words(cells[0])[:1], cells[1]): cells for cells in rows(TEXT, "type")}
    for refusal in refusals():
        if refusal.__module__.startswith(PACKAGE):
            cells = told.get((refusal.slug, refusal.title))
            assert cells, f"{refusal.slug}: {refusal.title}"
            assert str(refusal.http_status) in cells[0]
            assert all(cells[2:4])


def test_problems_that_are_no_refusals() -> None:
    """So do those that handlers spell by hand."""
    told = {word for cells in rows(TEXT, "type") for word in words(cells[0])}
    spelled = set()
    for module in modules(f"{PACKAGE}/web"):
        spelled |= set(re.findall(r"\bproblem\(\s*\"([a-z-]+)\"", module.text))
    assert {"refused", "method", "http"} <= spelled
    assert set() == spelled - told


def test_every_reason_of_a_refused_callback() -> None:
    """Every word of callbacks_refused_total{reason} is explained, and no other."""
    told = {word for cells in rows(TEXT, "reason") for word in words(cells[0])}
    assert {*metrics._REASONS} == told


def test_every_remark() -> None:
    """Every remark of callback_unusual is explained, and no other."""
    told = {word for cells in rows(TEXT, "remark") for word in words(cells[0])}
    assert ingest._REMARKS_WARNING == told


def test_every_check_of_doctors() -> None:
    """Every line that plivostatusctl doctor can show is explained, and no other."""
    told = [words(cells[0])[0] for cells in rows(TEXT, "check")]
    named = {
        each.name
        for module in sys.modules.values()
        if module.__name__.startswith(f"{PACKAGE}.ctl.doctor.")
        for each in vars(module).values()
        if isinstance(each, Named)
    }
    assert named == set(told)
    assert [name for name, _ in CHECKS] == [name for name in told if name in dict(CHECKS)]
