"""What is public says what it is for; a test says what it holds."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.meta.source import PACKAGE, Module, modules

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def definitions(parent: ast.Module | ast.ClassDef) -> Iterator[Definition]:
    """Give every class, function and method; what is within functions is nobody's business."""
    for node in parent.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from definitions(node)


def is_overload(node: Definition) -> bool:
    """Say whether *node* only adds a signature to one that is documented elsewhere."""
    names = {ast.unparse(each).rpartition(".")[2] for each in node.decorator_list}
    return bool(names & {"overload", "override", "setter"})


@pytest.mark.parametrize("module", modules(PACKAGE), ids=str)
def test_modules(module: Module) -> None:
    """Every module opens with what it owns and promises."""
    assert ast.get_docstring(module.tree)


@pytest.mark.parametrize("module", modules(PACKAGE), ids=str)
def test_public_names(module: Module) -> None:
    """Every public class, function and method of the program has a docstring."""
    silent = [
        node.name
        for node in definitions(module.tree)
        if not node.name.startswith("_") and not is_overload(node) and not ast.get_docstring(node)
    ]
    assert [] == silent


@pytest.mark.parametrize("module", modules("tests"), ids=str)
def test_tests(module: Module) -> None:
    """Every test says, in a sentence, what would be false if it failed."""
    silent = [
        node.name
        for node in definitions(module.tree)
        if node.name.startswith("test_") and not (ast.get_docstring(node) or "").endswith(".")
    ]
    assert [] == silent
