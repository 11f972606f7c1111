"""The house: who may import whom."""

from __future__ import annotations

import graphlib
import subprocess
import sys

import pytest

from tests.meta.source import PACKAGE, ROOT, Module, modules

BELOW = {
    # Each floor, and the floors it may import from. A floor is a folder or a file of the package;
    # the package itself (its version) is everybody's.
    "domain": set(),
    "config": {"domain"},
    "log": {"domain"},
    "store": {"domain", "config", "log"},
    "plivo": {"domain", "config", "log"},
    "host": {"domain", "config", "log"},
    "flows": {"domain", "config", "log", "store", "plivo", "host"},
    "web": {"domain", "config", "log", "store", "plivo", "host", "flows"},
    "daemon": {"domain", "config", "log", "store", "plivo", "host", "flows", "web"},
    "__main__": {"domain", "config", "log", "host", "daemon"},
    # What `systemctl reload` runs.
    "reload": {"domain", "host"},
    # The operator's tool stands beside the house, with the monitoring plug-in on its shoulders,
    # and so does Plivo played on loopback.
    "ctl": {"domain", "config"},
    "check": {"ctl"},
    "simulator": set(),
    # `make demo` starts both as programs and imports neither.
    "demo": set(),
}

ONLY_IN = {
    # Foreign packages that one door each keeps out of everywhere else.
    "aiosqlite": {"store"},
    "plivo": {"plivo", "simulator"},
    "requests": {"plivo"},
    "urllib3": {"plivo"},
    "prometheus_client": {"web"},
    "tornado": {"web", "daemon", "__main__", "simulator"},
    "structlog": {"log"},
    "httptools": {"web"},
    "uvloop": {"web"},
}

NOT_PURE = {
    # What the ground floor has no use for: it has no I/O, no clock and no asyncio.
    *("aiosqlite", "asyncio", "concurrent", "http", "logging", "os", "pathlib", "plivo"),
    *("requests", "select", "selectors", "shutil", "signal", "socket", "sqlite3", "ssl"),
    *("structlog", "subprocess", "tempfile", "threading", "time", "tornado"),
}

STORIES = ("ingest", "outbox", "reconcile", "upkeep")

OURS = modules(PACKAGE)


def floor(name: str) -> str:
    """Return the floor that the module *name* is on, or "" for what is not ours."""
    parts = name.split(".")
    return parts[1] if parts[0] == PACKAGE and len(parts) > 1 else ""


def story(name: str) -> str:
    """Return which story of the flows the module *name* belongs to, or ""."""
    parts = name.split(".")
    return parts[2] if floor(name) == "flows" and len(parts) > 2 and parts[2] in STORIES else ""


@pytest.mark.parametrize("module", OURS, ids=str)
def test_floors(module: Module) -> None:
    """A file imports only from its own floor and from floors below it."""
    here = floor(module.name)
    assert here == "" or here in BELOW, f"{module} is on no floor that this test knows"
    for name in module.imports:
        there = floor(name)
        if there in {"", here} or (here, name) == ("ctl", f"{PACKAGE}.simulator.command"):
            continue
        assert here, f"{module}: the package itself imports {name}"
        assert there in BELOW[here], f"{module} is on floor {here}, and imports {name}"


@pytest.mark.parametrize("module", OURS, ids=str)
def test_doors(module: Module) -> None:
    """A foreign package is imported on the floors that are its door, and nowhere else."""
    for name in module.imports:
        allowed = ONLY_IN.get(name.split(".")[0])
        assert allowed is None or floor(module.name) in allowed, f"{module} imports {name}"


@pytest.mark.parametrize("module", modules(f"{PACKAGE}/domain"), ids=str)
def test_ground_floor_is_pure(module: Module) -> None:
    """The ground floor imports nothing that does I/O, tells the time or schedules."""
    assert set() == {name.split(".")[0] for name in module.imports} & NOT_PURE


@pytest.mark.parametrize("module", modules(f"{PACKAGE}/flows"), ids=str)
def test_stories_do_not_meet(module: Module) -> None:
    """No story imports another; what they share knows of none of them."""
    here = story(module.name)
    others = {story(name) for name in module.imports} - {"", here}
    assert set() == others


def test_only_simulate_knows_the_simulator() -> None:
    """Of plivostatusctl, one command alone imports the simulator."""
    users = {
        module.name
        for module in modules(f"{PACKAGE}/ctl")
        if any(floor(name) == "simulator" for name in module.imports)
    }
    assert users <= {f"{PACKAGE}.ctl.simulate"}


def test_no_cycles() -> None:
    """No module imports itself by way of others."""
    known = {module.name for module in OURS}
    graph = {module.name: module.imports & known - {module.name} for module in OURS}
    try:
        tuple(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["show", "--help"]], ids=" ".join)
def test_the_tool_starts_light(arguments: list[str]) -> None:
    """The operator's tool starts without tornado, plivo, asyncio and all that takes its time."""
    program = (
        "import sys\n"
        "from plivostatusd.ctl.__main__ import main\n"
        "try:\n"
        "    sys.exit(main())\n"
        "finally:\n"
        "    print('loaded:', *sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.rpartition("loaded:")[2].split())
    heavy = {"tornado", "plivo", "requests", "asyncio", "aiosqlite", "sqlite3", "structlog"}
    assert set() == loaded & heavy
