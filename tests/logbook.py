"""
Every log line of a test, so that a line of WARNING or above which nobody expected is a failure.

Owns what was logged during one test, by structlog and by the standard library's loggers alike.
conftest.py makes one for the whole run and empties it before each test; a test meets it as the
fixture `logbook`, or says what it expects with the markers `expect_log` and `allow_log`.

It listens where lines are born, not where they are written: at structlog's chain of processors and
at the standard library's record factory. So it hears everything whatever the code under test does
to handlers, formats and streams.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import structlog

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "exception": logging.ERROR,
    "critical": logging.CRITICAL,
    "fatal": logging.CRITICAL,
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line: *event* is structlog's event, or the whole message of a standard logger."""

    level: int
    logger: str
    event: str
    fields: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        fields = "".join(f" {key}={value!r}" for key, value in self.fields.items())
        return f"{logging.getLevelName(self.level).lower()} {self.logger}: {self.event}{fields}"


class Logbook:
    """The lines of the present test, and what it said of them beforehand."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self._expected: list[str] = []
        self._allowed: list[str] = []
        self._judged = 0

    def clear(self) -> None:
        """Begin a test with nothing logged and nothing expected."""
        self.lines.clear()
        self._expected.clear()
        self._allowed.clear()
        self._judged = 0

    def expect(self, pattern: str) -> None:
        """Fail the test unless a line of WARNING or above matches; all that match are fine."""
        self._expected.append(pattern)

    def allow(self, pattern: str) -> None:
        """Let lines of WARNING or above pass that match *pattern*, if any come."""
        self._allowed.append(pattern)

    def events(self, event: str) -> list[Mapping[str, Any]]:
        """Return the fields of every line so far whose event is *event*, oldest first."""
        return [line.fields for line in self.lines if line.event == event]

    def faults(self) -> Iterator[str]:
        """Say what is wrong with the lines since the last call, and forget about them."""
        fresh = self.lines[self._judged :]
        self._judged = len(self.lines)
        for line in fresh:
            known = (*self._expected, *self._allowed)
            if line.level >= logging.WARNING and not any(re.search(p, str(line)) for p in known):
                yield f"unexpected: {line}"

    def missing(self) -> Iterator[str]:
        """Say which expected lines did not come."""
        loud = [str(line) for line in self.lines if line.level >= logging.WARNING]
        for pattern in self._expected:
            if not any(re.search(pattern, line) for line in loud):
                yield f"expected, but never logged: {pattern}"

    def processor(
        self, _logger: Any, method: str, event_dict: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Note a line on its way through structlog, first in the chain."""
        fields = dict(event_dict)
        event = str(fields.pop("event", ""))
        self.lines.append(Line(LEVELS.get(method, logging.INFO), "plivostatusd", event, fields))
        return event_dict

    def listen(self) -> None:
        """Put this book in front of structlog's and the standard library's loggers, for good."""
        _listen_to_structlog(self)
        _listen_to_logging(self)

    def undo_configuration(self) -> None:
        """Take back what an earlier test's `plivostatusd.log.configure` has set for the process."""
        log = sys.modules.get("plivostatusd.log")
        if log is None:
            return
        structlog.reset_defaults()
        structlog.configure()
        log._way_out.__init__()
        root = logging.getLogger()
        for handler in [each for each in root.handlers if isinstance(each, log._ForeignHandler)]:
            root.removeHandler(handler)
        root.setLevel(logging.WARNING)
        for name, level in log._PINNED.items():
            if level > logging.ERROR:  # what is only kept from chattering may stay so
                logging.getLogger(name).setLevel(logging.NOTSET)
        logging.captureWarnings(capture=False)
        sys.excepthook = sys.__excepthook__


def _listen_to_structlog(book: Logbook) -> None:
    configure = structlog.configure

    def with_book(processors: Any = None, **options: Any) -> None:
        chain = structlog.get_config()["processors"] if processors is None else processors
        chain = [book.processor, *(each for each in chain if each != book.processor)]
        # A cached logger would keep the configuration of the test that used it first.
        options["cache_logger_on_first_use"] = False
        configure(processors=chain, **options)

    structlog.configure = with_book  # type: ignore[assignment]  # every option by its name
    with_book()


def _listen_to_logging(book: Logbook) -> None:
    make_record = logging.getLogRecordFactory()

    def with_book(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make_record(*args, **kwargs)
        book.lines.append(Line(record.levelno, record.name, record.getMessage()))
        return record

    logging.setLogRecordFactory(with_book)
