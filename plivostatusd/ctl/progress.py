"""
How far long work has got: one line that is written over again, on a terminal and only there.

A terminal that shows the results as well is left alone. The line is gone when the block ends.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from plivostatusd.ctl.visible import printable

EVERY_S = 0.2
_ERASE = "\r\x1b[K"


class Progress:
    """Writes on *stream*, or nowhere when that is None."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._next_s = 0.0

    @property
    def is_shown(self) -> bool:
        """Say whether anybody sees it."""
        return self._stream is not None

    def show(self, text: str) -> None:
        """Say how far it is, a few times a second at most."""
        now_s = time.monotonic()
        if self._stream is None or now_s < self._next_s:
            return
        self._next_s = now_s + EVERY_S
        self._write(f"{_ERASE}{printable(text)}")

    def clear(self) -> None:
        """Take the line away."""
        if self._next_s:
            self._next_s = 0.0
            self._write(_ERASE)

    def _write(self, text: str) -> None:
        if self._stream is not None:
            with suppress(OSError):
                self._stream.write(text)
                self._stream.flush()


@contextmanager
def progress(*, as_json: bool = False, beside_results: bool = False) -> Iterator[Progress]:
    """
    Show progress on standard error for a block's length.

    Not with *as_json*, and with *beside_results* not where standard output is a terminal, too: its
    lines and ours would be written over each other.
    """
    hidden = as_json or (beside_results and _is_terminal(sys.stdout))
    shown = Progress(sys.stderr if _is_terminal(sys.stderr) and not hidden else None)
    try:
        yield shown
    finally:
        shown.clear()


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()
