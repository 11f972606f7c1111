"""Every input that is checked in, tried once: what was found and mended is never met again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest

from tests.fuzz import child, target

Check = Callable[[bytes], None]

INPUTS = [(name, path) for name in target.NAMES for path in target.corpus(name)]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Check]]:
    """Open each target once, whoever asks for it first."""
    with ExitStack() as stack:

        @cache
        def open_once(name: str) -> Check:
            folder = tmp_path_factory.mktemp(name)
            return stack.enter_context(target.load(name).opened(folder))

        yield open_once


@pytest.mark.parametrize(
    ("name", "path"), INPUTS, ids=[f"{name}-{path.name}" for name, path in INPUTS]
)
@pytest.mark.allow_log("callback_refused")
def test_input(opened: Callable[[str], Check], name: str, path: Path) -> None:
    """An input of the corpus breaks nothing."""
    opened(name)(path.read_bytes())


@pytest.mark.parametrize("name", target.NAMES)
def test_a_corpus_to_begin_with(name: str) -> None:
    """Each target has a corpus, of inputs that are tried whole, and each corpus a target."""
    inputs = target.corpus(name)
    assert len(inputs) >= 5
    assert all(path.stat().st_size <= child.INPUT_BYTES_MAX for path in inputs)
    assert set(target.NAMES) == {folder.name for folder in target.CORPORA.iterdir()}
