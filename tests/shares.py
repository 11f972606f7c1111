"""
Who runs what when several processes share the tests, as `make test` has it (pytest-xdist).

Most of the long tests wait for sockets, disks and other processes, and leave a core idle; so there
is one worker more than cores. A share is a file, run by one worker in its order: what it sets up is
set up once. In boot/ it is all that one Debian runs, booted once; in the folders `APART` it is
one test. The longest begin first (marker `takes`), so that in the end nobody is waited for.

conftest.py takes the hooks from here. Without `-n` none of this happens.
"""

from __future__ import annotations

import os
import re
from typing import Final

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from tests.meta.source import FIGURES

APART: Final = {"acceptance", "api", "fault", "fuzz", "property"}
"""Folders whose tests are long, and set up by themselves what they need."""

_OUTPUT: Final = "figures"


class Shares(LoadScopeScheduling):
    """Hands out shares in the order of collection."""

    def _split_scope(self, nodeid: str) -> str:
        path, _, name = nodeid.partition("::")
        if "boot" in path.split("/") and (suite := re.search(r"\[(\w+)", name)):
            return suite[1]
        return path if APART.isdisjoint(path.split("/")) else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Say what `-n auto` means: one more than there are cores for us."""
    return len(os.sched_getaffinity(0)) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Shares:
    """Share the tests so."""
    config.option.loadscopereorder = False  # or files of many tests would go first
    return Shares(config, log)


def longest_first(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort the tests for a worker; alone, they stay as they stand."""
    if hasattr(config, "workerinput"):
        items.sort(key=_seconds, reverse=True)


def _seconds(item: pytest.Item) -> float:
    mark = item.get_closest_marker("takes")
    return float(mark.args[0]) if mark else 0.0


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Give a worker's sentences to whom started it."""
    if output := getattr(session.config, "workeroutput", None):
        output[_OUTPUT] = session.config.stash.get(FIGURES, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: WorkerController) -> None:
    """Take a worker's sentences; one that crashed has left none."""
    figures = node.config.stash.setdefault(FIGURES, [])
    figures.extend(getattr(node, "workeroutput", {}).get(_OUTPUT, []))
