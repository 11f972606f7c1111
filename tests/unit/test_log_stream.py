"""plivostatusd.log: where lines go, into real files, pipes and a terminal."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import NoReturn

import pytest

from plivostatusd.domain.secret import Secret
from plivostatusd.log import get_logger, together
from tests.unit import log_place
from tests.unit.log_place import NUMBER, TOKEN, Journal, Start, fail

log = get_logger()

untouched = log_place.untouched
journal = log_place.journal
start = log_place.start

pytestmark = pytest.mark.usefixtures("start")


def test_each_line_is_flushed(start: Start, tmp_path: Path) -> None:
    """A line is in the file as soon as the call returns."""
    path = tmp_path / "out"
    with path.open("wb") as stream:
        start(stream=stream)
        log.info("x")
        assert path.read_bytes().count(b"\n") == 1


def test_a_stream_that_fails_costs_lines_and_nothing_else(start: Start) -> None:
    """A full disk, a reader that is gone or a closed stream raise nothing."""
    closed = Journal()
    closed.close()
    reading, writing = os.pipe()
    os.close(reading)
    with open("/dev/full", "wb", buffering=0) as full, open(writing, "wb", buffering=0) as pipe:  # noqa: PTH123 - a descriptor has no path
        for stream in (closed, full, pipe):
            start(stream=stream)
            log.info("x")


@pytest.mark.allow_log("loud")
def test_the_journal_gets_priorities(start: Start, tmp_path: Path) -> None:
    """When JOURNAL_STREAM names the stream, each line has its priority in front of the JSON."""
    path = tmp_path / "out"
    with path.open("wb") as stream:
        status = os.fstat(stream.fileno())
        environ = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        start(stream=stream, environ=environ, level="debug")
        for level in ("debug", "info", "warning", "error", "critical"):
            getattr(log, level)("loud")
        logging.getLogger("tornado.general").warning("loud")
    found = [line.partition(b"{")[0] for line in path.read_bytes().splitlines()]
    assert found == [b"<7>", b"<6>", b"<4>", b"<3>", b"<2>", b"<4>"]


@pytest.mark.parametrize("value", ["", "1:2", "x"])
def test_no_priorities_for_anybody_else(start: Start, tmp_path: Path, value: str) -> None:
    """A pipe or file that the journal does not read gets JSON alone."""
    path = tmp_path / "out"
    with path.open("wb") as stream:
        start(stream=stream, environ={"JOURNAL_STREAM": value})
        log.info("x")
    assert path.read_bytes().startswith(b"{")


def test_a_console_is_for_people(start: Start, journal: Journal) -> None:
    """The console format is a plain line, masked as well, without colour where no terminal is."""
    start(format="console", secrets=[Secret(TOKEN)])
    log.info("send_settled", to=NUMBER, token=TOKEN, error="\x1b[31m")
    text = journal.getvalue().decode()
    assert text.count("\n") == 1
    assert "send_settled" in text
    assert "to=+1415****2323" in text
    assert TOKEN not in text


@pytest.mark.allow_log("broke")
def test_a_console_shows_tracebacks_without_locals(start: Start, journal: Journal) -> None:
    """A person sees the traceback, without the values of variables, whatever is installed."""
    start(format="console")
    try:
        fail(ValueError(NUMBER))
    except ValueError:
        log.exception("broke")
    text = journal.getvalue().decode()
    assert "ValueError: +1415****2323" in text
    assert "private" not in text


def test_a_console_at_a_terminal_is_coloured(start: Start) -> None:
    """Colour comes with a terminal."""
    master, slave = os.openpty()
    with open(slave, "wb", buffering=0) as terminal:  # noqa: PTH123 - a descriptor has no path
        start(format="console", stream=terminal)
        log.info("x")
        assert b"\x1b[" in os.read(master, 4096)
    os.close(master)


def test_threads_do_not_tear_lines(start: Start, tmp_path: Path) -> None:
    """Lines of many threads come out whole."""
    path = tmp_path / "out"
    with path.open("wb") as stream:
        start(stream=stream)

        def work() -> None:
            for number in range(200):
                log.info("x", count=number, filler="y" * 300)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    counts = [json.loads(line)["count"] for line in path.read_bytes().splitlines()]
    assert sorted(counts) == sorted(list(range(200)) * 8)


PROGRAM = f"""
from plivostatusd.domain.secret import Secret
from plivostatusd.log import configure, get_logger
log = get_logger()
configure(level="info", format="json", numbers="masked", secrets=[Secret({TOKEN!r})])
log.info("started")
raise RuntimeError({NUMBER + " " + TOKEN!r})
"""


def test_a_crash_is_logged_and_masked() -> None:
    """What nobody caught is the last line on standard output, and standard error stays empty."""
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=False)
    first, last = (json.loads(line) for line in run.stdout.splitlines())
    assert (first["event"], last["event"], last["level"]) == (
        "started",
        "daemon_crashed",
        "critical",
    )
    assert last["exception"].endswith("RuntimeError: +1415****2323 ***")
    assert (run.returncode, run.stderr) == (1, b"")


@pytest.mark.allow_log("loud")
def test_lines_are_written_together(start: Start, tmp_path: Path) -> None:
    """Lines of a block are written at its end, from `warning` on at once; all in order."""
    path = tmp_path / "out"
    with path.open("wb") as stream:
        start(stream=stream)

        def events() -> list[str]:
            return [json.loads(line)["event"] for line in path.read_text().splitlines()]

        with together():
            log.info("a")
            with together():
                log.info("b")
            assert [] == events()
            log.warning("loud")
            assert ["a", "b", "loud"] == events()
            log.info("c")
        assert ["a", "b", "loud", "c"] == events()
        log.info("d")
        assert ["a", "b", "loud", "c", "d"] == events()


def test_a_thread_waits_for_no_other(start: Start, tmp_path: Path) -> None:
    """What another thread logs meanwhile is in the file as soon as its call returns."""
    path = tmp_path / "out"
    with path.open("wb") as stream:
        start(stream=stream)
        with together():
            log.info("held")
            other = threading.Thread(target=log.info, args=("at_once",))
            other.start()
            other.join()
            assert ["at_once"] == [
                json.loads(each)["event"] for each in path.read_text().splitlines()
            ]


def test_a_block_that_fails_costs_no_line(start: Start, tmp_path: Path) -> None:
    """What was logged before an error left the block is written."""
    path = tmp_path / "out"
    with path.open("wb") as stream:
        start(stream=stream)
        with pytest.raises(LookupError), together():
            _log_and_fail()
        assert path.read_bytes().count(b"\n") == 1


def _log_and_fail() -> NoReturn:
    log.info("x")
    raise LookupError
