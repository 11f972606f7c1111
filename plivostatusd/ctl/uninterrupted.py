"""
Steps that Ctrl-C and SIGTERM do not cut in two: what was begun is done, then the command ends.

Outside of a step both end the command at once, as Ctrl-C always does, with all that it had begun
cleared away; a second one ends a step too, which may be waiting for somebody to read.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Uninterrupted:
    """Catches the signals for a block's length."""

    def __init__(self) -> None:
        self._is_working = False
        self._is_told = False

    def __enter__(self) -> Self:
        """Begin to catch them."""
        self._before = {number: signal.signal(number, self._hear) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        """Leave them to whoever had them before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def work(self) -> Iterator[None]:
        """Do a step. Raises KeyboardInterrupt behind it when a signal came meanwhile."""
        self._is_working = True
        try:
            yield
        finally:
            self._is_working = False
        if self._is_told:
            raise KeyboardInterrupt

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        if not self._is_working or self._is_told:
            raise KeyboardInterrupt
        self._is_told = True
