"""How long things may get: what one can read at a sitting."""

from __future__ import annotations

import statistics

import pytest

from tests.meta.source import FIGURES, PACKAGE, Module, modules

FUNCTION_LINES_MAX = 70
FUNCTION_LINES_MEDIAN_MAX = 8
FILE_LINES_MAX = 500

ALL = modules()


@pytest.mark.parametrize("module", ALL, ids=str)
def test_files(module: Module) -> None:
    """No Python file, of tests or of the program, is longer than 500 lines."""
    assert len(module.text.splitlines()) <= FILE_LINES_MAX


@pytest.mark.parametrize("module", ALL, ids=str)
def test_functions(module: Module) -> None:
    """No function is longer than 70 lines, its docstring and inner functions counted."""
    assert [] == [str(each) for each in module.functions if each.lines > FUNCTION_LINES_MAX]


def test_median(request: pytest.FixtureRequest) -> None:
    """Half of the program's functions are of 8 lines or fewer. The figures end the test run."""
    functions = [each for module in modules(PACKAGE) for each in module.functions]
    median = statistics.median(each.lines for each in functions)
    longest = max(functions, key=lambda each: each.lines)
    largest = max(modules(PACKAGE), key=lambda module: len(module.text.splitlines()))
    request.config.stash.setdefault(FIGURES, []).append(
        f"{len(functions)} functions, median {median:g} lines, longest {longest}; "
        f"longest file {largest} ({len(largest.text.splitlines())} lines)"
    )
    assert median <= FUNCTION_LINES_MEDIAN_MAX
