"""
What holds for every test: the event loop, the log, Hypothesis' settings.

- A coroutine test runs on Tornado's loop without being marked.
- A log line of WARNING or above that the test did not announce is a failure (tests/logbook.py).
- A property that fails prints what reproduces it; a test that draws lots takes `chance`.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import random
import signal
from collections.abc import Callable, Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings
from tornado.ioloop import IOLoop

from plivostatusd.web.transport.choice import VARIABLE, new_event_loop
from tests.logbook import Logbook
from tests.meta.source import FIGURES
from tests.shares import (  # noqa: F401 - hooks, found here by their names
    longest_first,
    pytest_sessionfinish,
    pytest_testnodedown,
    pytest_xdist_auto_num_workers,
    pytest_xdist_make_scheduler,
)

_LOGBOOK = Logbook()

_MEASURED = "unit"
"""The folder whose tests count as coverage: to watch the others takes a minute, and adds 0.5 %."""

# No deadline and no complaint about slowness: both judge the machine, not the code.
settings.register_profile(
    "plivostatusd",
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("plivostatusd")


def pytest_configure(config: pytest.Config) -> None:
    """Listen to every logger from here on; nothing of ours has been imported yet."""
    _LOGBOOK.listen()
    # A shell that starts us in the background has Ctrl-C ignored, by our children too.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put `gen_test` on each coroutine: without it pytest-tornado would leave it to nobody."""
    longest_first(config, items)
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.function):
            item.add_marker(pytest.mark.gen_test)
        if _MEASURED not in item.path.parts:
            item.add_marker(pytest.mark.no_cover)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin with an empty book that knows what the test's markers announce."""
    _LOGBOOK.clear()
    _LOGBOOK.undo_configuration()
    for mark in item.iter_markers("expect_log"):
        _LOGBOOK.expect(*mark.args)
    for mark in item.iter_markers("allow_log"):
        _LOGBOOK.allow(*mark.args)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Fail a test that passed but for its log; show the log of one that did not pass."""
    try:
        yield
        faults = [*_LOGBOOK.faults(), *_LOGBOOK.missing()]
        if faults:
            pytest.fail("\n".join(faults), pytrace=False)
    finally:
        list(_LOGBOOK.faults())
        if _LOGBOOK.lines:
            text = "\n".join(map(str, _LOGBOOK.lines))
            item.add_report_section("call", "every log line", text)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Hear what is logged while things are closed, too."""
    yield
    faults = list(_LOGBOOK.faults())
    if faults:
        pytest.fail("\n".join(faults), pytrace=False)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """End with what tests have measured on the way."""
    for sentence in config.stash.get(FIGURES, []):
        terminalreporter.write_line(sentence)


@pytest.fixture
def logbook() -> Logbook:
    """Every line logged since the test began."""
    return _LOGBOOK


@pytest.fixture
def expect_log(logbook: Logbook) -> Callable[[str], None]:
    """Announce, from within the test, a line that must come: `expect_log("batch_failed")`."""
    return logbook.expect


@pytest.fixture(params=["llhttp", "tornado"])
def each_transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a test run on either transport, in this process and in daemons that it starts."""
    if request.param == "tornado":
        monkeypatch.setenv(VARIABLE, "tornado")
    else:
        monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def io_loop(request: pytest.FixtureRequest) -> Iterator[IOLoop]:
    """
    A loop of the test's own, in place of pytest-tornado's, which calls what Tornado deprecates.

    In unit/ it is of the program's kind (PLIVOSTATUSD_TRANSPORT=tornado: asyncio's own); elsewhere
    the program is a child that makes its own. It ends as asyncio.run() ends: what still runs is
    cancelled, then the loop is closed.
    """
    make = new_event_loop if "unit" in request.path.parts else asyncio.new_event_loop
    loop = IOLoop(make_current=False, asyncio_loop=make())
    aio = loop.asyncio_loop
    asyncio.set_event_loop(aio)
    yield loop
    left = asyncio.all_tasks(aio)
    for task in left:
        task.cancel()
    aio.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    aio.run_until_complete(aio.shutdown_asyncgens())
    aio.run_until_complete(aio.shutdown_default_executor())
    asyncio.set_event_loop(None)
    loop.close(all_fds=True)


@pytest.fixture
def chance() -> random.Random:
    """Return a source of random numbers whose seed a failure shows; TEST_SEED gives it again."""
    seed = os.environ.get("TEST_SEED") or str(random.SystemRandom().getrandbits(32))
    print(f"TEST_SEED={seed}")  # noqa: T201 - pytest shows it with a failure, and only then
    return random.Random(seed)
