"""A log that a test configures and reads back; everything is put back as it was afterwards."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest
import structlog

from plivostatusd import log as log_module
from plivostatusd.log import configure

TOKEN = "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFy"
NUMBER = "+14155552323"

Start = Callable[..., None]


class Journal(io.BytesIO):
    """A stream that a test reads back line by line."""

    def lines(self) -> list[dict[str, Any]]:
        """Return every line so far."""
        return [json.loads(line) for line in self.getvalue().splitlines()]

    def last(self) -> dict[str, Any]:
        """Return the newest line."""
        return self.lines()[-1]


@pytest.fixture
def untouched() -> Iterator[None]:
    """Put structlog, the root logger and our own way out back as they were."""
    way = log_module._way_out
    mine = (way.level, way.log, set(way.hidden))
    chain = structlog.get_config()
    root = logging.getLogger()
    handlers, level, hook = list(root.handlers), root.level, sys.excepthook
    pinned = {name: logging.getLogger(name).level for name in log_module._PINNED}
    yield
    way.level, way.log, way.hidden = mine
    structlog.configure(**chain)
    root.handlers[:] = handlers
    root.setLevel(level)
    sys.excepthook = hook
    for name, least in pinned.items():
        logging.getLogger(name).setLevel(least)
    logging.captureWarnings(capture=False)


@pytest.fixture
def journal() -> Journal:
    """Return a stream to log into."""
    return Journal()


@pytest.fixture
def start(untouched: None, journal: Journal) -> Start:
    """Configure the log to write into `journal`."""

    def begin(**changes: Any) -> None:
        usual = {"level": "info", "format": "json", "numbers": "masked", "secrets": ()}
        configure(**{**usual, "stream": journal, "environ": {}, **changes})

    begin()
    return begin


def fail(error: Exception) -> NoReturn:
    """Raise *error*, from a frame with a variable in it."""
    private = "".join(reversed("etavirp"))
    if private:
        raise error
    raise AssertionError
