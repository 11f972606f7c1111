"""
The configuration file's own syntax: `[section]`, `key = value`, `#` comments, a line each.

Pure: bytes in, entries and problems out, never an exception. Read by hand rather than with
configparser, which stops at the first fault, knows no line numbers of values, takes an indented
line for a continuation, `[DEFAULT]` for all sections, and `%` for interpolation. Whatever is
accepted here configparser reads the same (tests/property/test_config_fuzz.py holds this).

A line is never shown, and a name only if it looks like one: a token pasted into the wrong place
must not end in the journal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from plivostatusd.config.problem import Problem, near_miss

_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_NAME_LIKE = re.compile(r"[A-Za-z][A-Za-z_.-]{0,30}[0-9]{0,2}")


class Entry(NamedTuple):
    """One `key = value` of a known section and key."""

    section: str
    key: str
    value: str
    line: int


@dataclass(slots=True)
class Reading:
    """What a file says so far, and what is wrong with it."""

    file: str
    known: Mapping[str, Iterable[str]]
    entries: list[Entry] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    is_text: bool = True
    _section: str | None = None
    _is_skipping: bool = False
    _seen: dict[tuple[str | None, str | None], int] = field(default_factory=dict)

    def take(self, number: int, raw: bytes) -> None:
        """Read one line, without its line feed."""
        text = self._decoded(number, raw.removesuffix(b"\r"))
        stripped = (text or "").strip(" \t")
        if text is None or not stripped or stripped.startswith("#"):
            return
        if stripped.startswith(";"):
            self._complain(number, "the line begins with a semicolon", "# before a comment")
        elif text[0] in " \t":
            self._complain(
                number, "the line begins with a blank", "each setting on one line, from its start"
            )
        elif text.startswith("["):
            self._take_header(number, stripped)
        else:
            self._take_setting(number, text)

    def _decoded(self, number: int, raw: bytes) -> str | None:
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            self._complain(number, "the line is not UTF-8", "UTF-8 or plain ASCII")
            return None
        strange = next((c for c in text if not c.isprintable() and c not in " \t"), None)
        if strange is None:
            return text
        self._complain(number, f"the line holds the character U+{ord(strange):04X}", "plain text")
        return None

    def _take_header(self, number: int, text: str) -> None:
        name = text[1:-1]
        self._section = None
        self._is_skipping = True
        if not text.endswith("]") or "]" in name:
            self._complain(number, "the line begins with [ and is no section", "[section] alone")
        elif name not in self.known:
            self._unknown_section(number, name)
        else:
            self._is_skipping, self._section = False, name
            self._note(number)

    def _unknown_section(self, number: int, name: str) -> None:
        if name.upper() == "DEFAULT":
            found, expected = "this section has no meaning here", "settings in their own sections"
        else:
            hint = near_miss(name.strip(), self.known)
            found, expected = f"unknown section{hint}", "" if hint else _any_of(self.known)
        self._section = _named(name)
        self._complain(number, found, expected)
        self._section = None

    def _take_setting(self, number: int, text: str) -> None:
        key, equals, value = (part.strip(" \t") for part in text.partition("="))
        if not equals:
            self._complain(number, "the line has no =", "key = value")
        elif self._is_skipping:
            return
        elif self._section is None:
            self._complain(number, "a setting stands before the first section", "[section] first")
        elif key not in self.known[self._section]:
            self._unknown_key(number, self._section, key)
        elif self._note(number, key):
            self.entries.append(Entry(self._section, key, value, number))

    def _unknown_key(self, number: int, section: str, key: str) -> None:
        homes = [name for name, keys in self.known.items() if key in keys]
        keys = self.known[section]
        hint = f"; it belongs into [{homes[0]}]" if homes else near_miss(key, keys)
        self._complain(number, f"unknown key{hint}", "" if hint else _any_of(keys), _named(key))

    def _note(self, number: int, key: str | None = None) -> bool:
        """Remember that a section or key was met; False, and a problem, when it was met before."""
        first = self._seen.setdefault((self._section, key), number)
        if first != number:
            self._complain(number, f"was there before, in line {first}", "it once", key)
        return first == number

    def _complain(self, line: int, found: str, expected: str = "", key: str | None = None) -> None:
        self.problems.append(
            Problem(
                file=self.file,
                line=line,
                section=self._section,
                key=key,
                found=found,
                expected=expected,
            )
        )


def parse(content: bytes, file: str, known: Mapping[str, Iterable[str]]) -> Reading:
    """Read *content*; *known* maps each section to its keys, *file* names it in problems."""
    reading = Reading(file, known)
    foreign = _foreign(content)
    if foreign:
        reading.is_text = False
        reading.problems.append(Problem(file=file, found=foreign, expected="UTF-8 text"))
        return reading
    lines = content.removeprefix(_UTF8_MARK).split(b"\n")
    for number, raw in enumerate(lines, start=1):
        reading.take(number, raw)
    return reading


def _foreign(content: bytes) -> str:
    if content.startswith(_UTF16_MARKS):
        return "the file is UTF-16"
    if b"\0" in content:
        line = content[: content.index(b"\0")].count(b"\n") + 1
        return f"the file holds a NUL byte, in line {line}, and is no text"
    return ""


def _named(name: str) -> str:
    return name if _NAME_LIKE.fullmatch(name) else f"({len(name)} characters)"


def _any_of(names: Iterable[str]) -> str:
    return f"one of {', '.join(names)}"
