"""plivostatusd.log: the lines of Tornado, urllib3, aiosqlite, asyncio and Python itself."""

from __future__ import annotations

import asyncio
import logging
import warnings

import pytest

from plivostatusd import log as log_module
from plivostatusd.domain.secret import Secret
from plivostatusd.log import get_logger
from tests.unit import log_place
from tests.unit.log_place import NUMBER, TOKEN, Journal, Start, fail

log = get_logger()

untouched = log_place.untouched
journal = log_place.journal
start = log_place.start

pytestmark = pytest.mark.usefixtures("start")


@pytest.mark.allow_log("tornado.general|asyncio|some.library")
@pytest.mark.parametrize("name", ["tornado.application", "asyncio", "a.library"])
def test_lines_of_libraries_take_the_same_way(start: Start, journal: Journal, name: str) -> None:
    """A record of the standard library's becomes one JSON line, masked."""
    start(secrets=[Secret(TOKEN)])
    logging.getLogger(name).info("sent %s with %s", NUMBER, TOKEN)
    line = journal.last()
    line.pop("timestamp")
    assert line == {
        "level": "info",
        "event": "library_logged",
        "logger": name,
        "message": "sent +1415****2323 with ***",
    }


@pytest.mark.allow_log("a.library")
def test_a_librarys_traceback_is_masked(start: Start, journal: Journal) -> None:
    """A library's exception is logged as ours are."""
    start(secrets=[Secret(TOKEN)])
    try:
        fail(KeyError(NUMBER, TOKEN))
    except KeyError:
        logging.getLogger("a.library").exception("broke")
    assert journal.last()["exception"].endswith("KeyError: ('+1415****2323', '***')")
    assert journal.last()["level"] == "error"


@pytest.mark.parametrize("name", ["aiosqlite", "urllib3.connectionpool", "tornado.access"])
def test_talkative_libraries_are_kept_quiet(start: Start, journal: Journal, name: str) -> None:
    """Even at debug the libraries that log parameters, paths and requests do not."""
    start(level="debug")
    logging.getLogger(name).debug("executing insert with ('+14155552323', 'text')")
    logging.getLogger(name).info("GET /")
    assert journal.lines() == []


def test_what_urllib3_cannot_read_is_not_quoted(start: Start, journal: Journal) -> None:
    """urllib3's warning about an answer's head, which quotes the answer, is not written."""
    start()
    logging.getLogger("urllib3.connection").warning("Failed to parse headers: %r", "a text")
    logging.getLogger("urllib3").warning("Connection pool is full")
    assert journal.lines() == []


def test_tornados_access_log_is_off(journal: Journal) -> None:
    """Tornado's line for a failed request, with its query, is not written at any level."""
    logging.getLogger("tornado.access").error("500 GET /messages?to=%2B14155552323")
    assert journal.lines() == []


def test_the_level_holds_for_libraries(start: Start, journal: Journal) -> None:
    """A library's line below the configured level is not written."""
    start(level="error")
    logging.getLogger("a.library").info("x")
    assert journal.lines() == []


@pytest.mark.allow_log("py.warnings")
def test_warnings_take_the_same_way(journal: Journal) -> None:
    """A warning of Python's is a line too."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn(f"old {NUMBER}", UserWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    assert journal.last()["logger"] == "py.warnings"
    assert "UserWarning: old +1415****2323" in journal.last()["message"]


def test_arguments_that_do_not_fit(start: Start) -> None:
    """A library's line whose arguments do not fit its format is written without them."""
    second = Journal()
    start(stream=second)
    (handler,) = (
        each
        for each in logging.getLogger().handlers
        if isinstance(each, log_module._ForeignHandler)
    )
    handler.handle(logging.LogRecord("a.library", logging.INFO, "x", 1, "%d", ("x",), None))
    assert second.last()["message"] == "%d"


def test_one_handler_however_often(start: Start, journal: Journal) -> None:
    """A library's line is written once after many reloads."""
    for _ in range(3):
        start()
    logging.getLogger("a.library").info("x")
    assert len(journal.lines()) == 1


@pytest.mark.allow_log("Task exception was never retrieved")
def test_a_lost_tasks_exception_is_masked(journal: Journal) -> None:
    """What asyncio says of a task that nobody awaited shows no number."""

    async def lose() -> None:
        async def doomed() -> None:
            raise ValueError(NUMBER)

        asyncio.get_running_loop().create_task(doomed())
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(lose())
    assert NUMBER[1:] not in journal.getvalue().decode()
    assert [line["logger"] for line in journal.lines()] == ["asyncio"]
