"""
What there is to fuzz: one module in tests/fuzz/targets/ each, and its corpus in tests/data/fuzz/.

A target is a function from bytes to nothing; whatever it raises is a find. Its module's `opened`
makes it, with a folder of its own to write to, and its `WORDS` are what an input may hold.

A corpus is a folder of inputs, checked in. What was found and mended is called `found-...` there,
so that it is tried again for ever (tests/fuzz/test_corpora.py).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Protocol, cast

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
CORPORA: Final = ROOT / "tests" / "data" / "fuzz"
NAMES: Final = tuple(sorted(path.stem for path in HERE.joinpath("targets").glob("*.py")))


class Target(Protocol):
    """A target's module."""

    WORDS: tuple[bytes, ...]

    def opened(self, folder: Path) -> AbstractContextManager[Callable[[bytes], None]]:
        """Give the target, for as long as the block lasts."""


def load(name: str) -> Target:
    """Import a target by its name; a name with a dot in it is a module's own."""
    module = name if "." in name else f"tests.fuzz.targets.{name}"
    return cast("Target", importlib.import_module(module))


def corpus(name: str) -> list[Path]:
    """Give the files of a target's corpus."""
    return sorted(CORPORA.joinpath(name).glob("*"))
