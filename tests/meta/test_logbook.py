"""The tests' own watch over the log (tests/logbook.py, tests/conftest.py) sees what it should."""

from __future__ import annotations

import io
import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from plivostatusd.log import configure, get_logger
from tests.logbook import Logbook
from tests.meta.source import ROOT

SUITE = """
import asyncio, logging, pytest, structlog

LOG = structlog.get_logger()

def test_quiet():
    LOG.info("sent")
    logging.getLogger("aiosqlite").debug("select")

def test_warning_fails():
    LOG.warning("batch_failed")

def test_foreign_fails():
    logging.getLogger("tornado.access").error("500 GET /")

def test_reconfigured_fails():
    structlog.configure(processors=[structlog.processors.JSONRenderer()],
                        cache_logger_on_first_use=True)
    structlog.get_logger().warning("batch_failed")

def test_no_handlers_fails():
    logging.getLogger().handlers = []
    logging.getLogger("asyncio").propagate = False
    logging.getLogger("asyncio").error("never retrieved")

@pytest.mark.expect_log("batch_failed rows=3")
def test_expected():
    LOG.warning("batch_failed", rows=3)

@pytest.mark.expect_log("batch_failed")
def test_missing_fails():
    pass

@pytest.mark.allow_log("batch_")
def test_allowed():
    pass

async def test_coroutine(expect_log):
    expect_log("batch_failed")
    await asyncio.sleep(0)
    LOG.warning("batch_failed")

async def test_coroutine_fails():
    await asyncio.sleep(0)
    assert False

@pytest.fixture
def late():
    yield
    LOG.warning("closed_badly")

def test_late_errors(late):
    pass
"""


def test_a_suite(tmp_path: Path) -> None:
    """Exactly the tests that log what they did not announce, or announce what never comes, fail."""
    (tmp_path / "conftest.py").write_text("from tests.conftest import *\n")
    (tmp_path / "test_suite.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-c", str(ROOT / "setup.cfg"), "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    names = re.findall(r"def (test_\w+)", SUITE)
    for outcome, ending in (("FAILED", "_fails"), ("ERROR", "_errors")):
        said = re.findall(rf"^{outcome} \S+::(\w+)", done.stdout, re.MULTILINE)
        assert [name for name in names if name.endswith(ending)] == said, done.stdout


def test_lines_are_kept_in_order(logbook: Logbook) -> None:
    """Lines are kept in order with level, logger, event and fields, the quiet ones too."""
    structlog.get_logger().info("callback_recorded", status="sent")
    structlog.get_logger().debug("batch_taken")
    assert [
        "info plivostatusd: callback_recorded status='sent'",
        "debug plivostatusd: batch_taken",
    ] == [str(line) for line in logbook.lines]
    assert [{"status": "sent"}] == logbook.events("callback_recorded")


def test_a_configured_log_is_heard(logbook: Logbook) -> None:
    """What the program's own set-up writes to its stream is in the book as well, once."""
    stream = io.BytesIO()
    configure(level="info", format="json", numbers="masked", secrets=(), stream=stream)
    logbook.allow("batch_failed|slow")
    get_logger().warning("batch_failed", rows=3)
    logging.getLogger("asyncio").warning("slow")
    assert ["warning plivostatusd: batch_failed rows=3", "warning asyncio: slow"] == [
        str(line) for line in logbook.lines
    ]
    assert 2 == len(stream.getvalue().splitlines())


def test_the_next_test_begins_anew(logbook: Logbook) -> None:
    """What one test configures does not outlive it: not the level, not the stream."""
    stream = io.BytesIO()
    configure(level="critical", format="json", numbers="masked", secrets=(), stream=stream)
    logbook.undo_configuration()
    logbook.allow("batch_failed")
    get_logger().warning("batch_failed")
    assert b"" == stream.getvalue()
    assert [{}] == logbook.events("batch_failed")


@pytest.mark.expect_log("^warning asyncio: slow$")
def test_patterns_see_level_and_logger() -> None:
    """A pattern is searched in the whole line: level, logger, event and fields."""
    logging.getLogger("asyncio").warning("slow")
