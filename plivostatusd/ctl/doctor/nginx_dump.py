"""
What `nginx -T` prints, as a tree of directives. `parse` is pure.

Source: nginx.org/en/docs/switches.html and beginners_guide.html, read 2026-11-30.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from plivostatusd.ctl.doctor.command import Said, said

_FILE = re.compile(r"^# configuration file (.+):$", re.MULTILINE)
_PIECE = re.compile(
    r"""\s+ | \#[^\n]* | "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | [{};]"""
    r""" | (?:\\.|\$\{[^}]*\}|[^\s{};"'\\])(?:\\.|\$\{[^}]*\}|[^\s{};\\])*""",
    re.VERBOSE | re.DOTALL,
)
_DEPTH_MAX = 10


@dataclass(slots=True)
class Directive:
    """One directive; a block has *inner* ones. *place* is file and line."""

    name: str
    words: list[str]
    place: str
    inner: list[Directive] = field(default_factory=list)

    def find(self, name: str) -> Iterator[Directive]:
        """Give the directives called *name* that stand directly in this block."""
        return (each for each in self.inner if each.name == name)

    def walk(self) -> Iterator[Directive]:
        """Give every directive within, however deep."""
        for each in self.inner:
            yield each
            yield from each.walk()


@dataclass(frozen=True, slots=True)
class Dump:
    """Nginx's whole configuration, or why there is none."""

    root: Directive | None
    said: Said


def take(command: str) -> Dump:
    """Ask Nginx for its configuration."""
    told = said(command, "-T")
    return Dump(parse(told.out) if told.status == 0 else None, told)


def parse(text: str) -> Directive:
    """Read the dump: the first file, with those that it includes in their places."""
    parts = _FILE.split(text)
    files = dict(zip(parts[1::2], parts[2::2], strict=True))
    root = Directive("", [], "")
    if files:
        main = next(iter(files))
        root.inner = _included(main, files, posixpath.dirname(main), 0)
    return root


def _included(name: str, files: dict[str, str], folder: str, depth: int) -> list[Directive]:
    stack: list[list[Directive]] = [[]]
    for words, place, ends in _statements(files[name], name):
        if ends == "}":
            if len(stack) > 1:
                stack.pop()
        elif words[0] == "include" and len(words) > 1 and depth < _DEPTH_MAX:
            pattern = posixpath.join(folder, words[1])
            for other in sorted(each for each in files if fnmatch.fnmatch(each, pattern)):
                stack[-1] += _included(other, files, folder, depth + 1)
        else:
            made = Directive(words[0], words[1:], place)
            stack[-1].append(made)
            if ends == "{":
                stack.append(made.inner)
    return stack[0]


def _statements(text: str, name: str) -> Iterator[tuple[list[str], str, str]]:
    """Give each statement's words, where it begins, and the `;`, `{` or `}` that ends it."""
    words: list[str] = []
    line, begins = 0, 0
    for match in _PIECE.finditer(text):
        piece = match[0]
        if piece in {";", "{", "}"}:
            if words or piece == "}":
                yield words, f"{name}:{begins}", piece
            words = []
        elif not piece[0].isspace() and piece[0] != "#":
            begins = begins if words else line
            words.append(_bare(piece))
        line += piece.count("\n")


def _bare(piece: str) -> str:
    if piece[0] in "\"'" and piece[-1] == piece[0] and len(piece) > 1:
        return re.sub(r"\\([\"'\\])", r"\1", piece[1:-1])
    return piece
