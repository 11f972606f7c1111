"""
A target with faults in it, for the tests of the runner: what has them is found.

No part of `make fuzz`: it stands beside the targets, not among them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path
from typing import Final

WORDS: Final = (b"fault",)


@contextmanager
def opened(folder: Path) -> Iterator[Callable[[bytes], None]]:
    """Give the target."""
    assert list(folder.iterdir()) == []
    yield _check


def _check(content: bytes) -> None:
    if content.startswith(b"fault"):
        assert len(content) < 8
    if content.startswith(b"for ever"):
        for _ in repeat(None):
            pass
