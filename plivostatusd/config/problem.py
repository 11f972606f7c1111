"""
What is wrong with a configuration, said so that a sysadmin can put it right.

Owns the words of a complaint and nothing else. Promises that a `Problem` prints as one line of
printable characters, that no value of a sensitive setting gets into one, and that what looks like
a token is not repeated from any other either.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from plivostatusd.domain.secret import MASK

_SHOWN_CHARS_MAX = 60
_TOKEN_LIKE = re.compile(r"[A-Za-z0-9+_=-]{20,}")


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
        found = _without_tokens(self.found)
        return f"{found}; expected {self.expected}" if self.expected else found


class ConfigError(Exception):
    """
    The configuration cannot be used. ``problems`` holds every reason, in reading order.

    ``command`` is what to type where ``plivostatusd -t``, typed by root, would not show the reason.
    """

    def __init__(self, problems: Iterable[Problem], *, command: str = "") -> None:
        self.problems = tuple(problems)
        self.command = command
        super().__init__("\n".join(map(str, self.problems)))


class Unfit(ValueError):
    """
    A text that a converter refuses: *what* ails it, and the *value* (or part) that does.

    *command* is what root types to mend it, where that can be said.
    """

    def __init__(self, what: str, value: str = "", *, command: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.value = value
        self.command = command
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
    plain = _without_tokens(text)
    cut = plain if len(plain) <= _SHOWN_CHARS_MAX else f"{plain[:_SHOWN_CHARS_MAX]}..."
    return ascii(cut)


def _without_tokens(text: str) -> str:
    """Hide long runs of letters with digits among them: a token may stand anywhere by mistake."""
    return _TOKEN_LIKE.sub(lambda match: match[0] if _is_word(match[0]) else MASK, text)


def _is_word(run: str) -> bool:
    return not any(char.isdigit() for char in run) or not any(char.isalpha() for char in run)


def near_miss(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the *known* name most like *word*, or nothing."""
    close = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return f"; did you mean {shown(close[0])}?" if close else ""


def _one_line(text: str) -> str:
    """Escape what would break the line or move the cursor: a path may hold anything."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
