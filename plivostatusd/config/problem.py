"""
What is wrong with a configuration, said so that a sysadmin can put it right.

Owns the words of a complaint and nothing else. Promises that a :class:`Problem` prints as one
line of plain characters and that no value of a sensitive setting gets into one.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

_SHOWN_CHARS_MAX = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong or, among warnings, doubtful: where, what, and what was expected."""

    file: str
    line: int | None = None
    section: str | None = None
    key: str | None = None
    found: str
    expected: str = ""

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        parts = [place, self._name(), self._sentence()]
        return _one_line(": ".join(part for part in parts if part))

    def _name(self) -> str:
        if self.section is None:
            return ""
        return f"[{self.section}]" if self.key is None else f"[{self.section}] {self.key}"

    def _sentence(self) -> str:
        return f"{self.found}; expected {self.expected}" if self.expected else self.found


class ConfigError(Exception):
    """The configuration cannot be used. ``problems`` holds every reason, in reading order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class Unfit(ValueError):
    """A text that a converter refuses: *what* ails it, and the *value* (or part) that does."""

    def __init__(self, what: str, value: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.value = value
        self.parts: tuple[Unfit, ...] = (self,)

    @classmethod
    def together(cls, parts: Iterable[Unfit]) -> Unfit:
        """Make one refusal of several: each entry of a list has its own."""
        whole = cls("has several faults")
        whole.parts = tuple(parts)
        return whole

    def sentence(self, *, sensitive: bool) -> str:
        """Say what was found, with the value only where it may be seen."""
        hidden = sensitive or not self.value
        return f"the value {self.what}" if hidden else f"{shown(self.value)} {self.what}"


def shown(text: str) -> str:
    """Quote a *text* of unknown content: short, ASCII, on one line."""
    cut = text if len(text) <= _SHOWN_CHARS_MAX else f"{text[:_SHOWN_CHARS_MAX]}..."
    return ascii(cut)


def near_miss(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the *known* name most like *word*, or nothing."""
    close = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return f"; did you mean {shown(close[0])}?" if close else ""


def _one_line(text: str) -> str:
    """Escape what would break the line or move the cursor: a path may hold anything."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
