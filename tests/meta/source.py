"""
The project's own files, as the tests of house rules read them.

Whatever stands in the tree counts, committed or not, less what tools and builds leave there.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "plivostatusd"

FIGURES = pytest.StashKey[list[str]]()
"""Sentences that a test leaves for the end of the run."""

_MADE = {"build", "dist", "htmlcov", "node_modules", "__pycache__"}
_HIDDEN_OF_OURS = {".ci", ".editorconfig", ".gitignore"}


def files() -> list[Path]:
    """Return every file of the project, sorted."""
    return sorted(_walk(ROOT))


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        hidden = path.name.startswith(".") and path.name not in _HIDDEN_OF_OURS
        if hidden or path.name in _MADE or path.suffix == ".egg-info":
            continue
        if path.is_dir():
            yield from _walk(path)
        else:
            yield path


def text_of(path: Path) -> str | None:
    """Return what *path* says, or None when it is no text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


@dataclass(frozen=True)
class Function:
    """A function as written: where, its name within the module, how many lines from def to end."""

    module: Module
    name: str
    lines: int

    def __str__(self) -> str:
        return f"{self.module} {self.name} ({self.lines} lines)"


class Module:
    """One Python file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = path.read_text(encoding="utf-8")

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    @cached_property
    def name(self) -> str:
        """As imported: `plivostatusd.store.writer`; a package goes by its folder's name."""
        parts = self.path.relative_to(ROOT).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @cached_property
    def tree(self) -> ast.Module:
        """The file, parsed."""
        return ast.parse(self.text, filename=str(self.path))

    @cached_property
    def imports(self) -> frozenset[str]:
        """
        Every module that is imported anywhere in the file, within functions and for types too.

        `from plivostatusd.store import writer` gives `plivostatusd.store.writer` when that is a
        module, else `plivostatusd.store`.
        """
        found: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = self._absolute(node)
                found.update(_module_or(base, alias.name) for alias in node.names)
        return frozenset(found)

    @cached_property
    def functions(self) -> list[Function]:
        """Every function and method, nested ones too."""
        return list(self._functions(self.tree, ""))

    def _functions(self, parent: ast.AST, prefix: str) -> Iterator[Function]:
        for node in ast.iter_child_nodes(parent):
            inner = prefix
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = f"{prefix}{node.name}"
                if not isinstance(node, ast.ClassDef):
                    lines = (node.end_lineno or node.lineno) - node.lineno + 1
                    yield Function(self, inner, lines)
                inner += "."
            yield from self._functions(node, inner)

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        is_package = self.path.name == "__init__.py"
        parts = self.name.split(".")
        base = parts[: len(parts) - node.level + is_package]
        return ".".join([*base, *([node.module] if node.module else [])])


def _module_or(base: str, name: str) -> str:
    inner = ROOT.joinpath(*base.split("."), name)
    is_module = inner.with_suffix(".py").exists() or (inner / "__init__.py").exists()
    return f"{base}.{name}" if is_module else base


def modules(*folders: str) -> list[Module]:
    """Return every Python file below *folders*, by default of the whole project."""
    tops = tuple(ROOT / folder for folder in folders) or (ROOT,)
    return [
        Module(path)
        for path in files()
        if path.suffix == ".py" and any(path.is_relative_to(top) for top in tops)
    ]
