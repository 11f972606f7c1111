"""
What may reach a terminal. Pure.

Texts and tags come from elsewhere: a control character in one could move the cursor, recolour the
screen or hide what follows (so could the Unicode characters that turn the direction of writing).
Everything that does not print stands as a backslash escape; `--json` has the exact value.
"""

from __future__ import annotations

import unicodedata

NOTHING = "-"


def visible(value: object) -> str:
    """Spell *value* for a person: `-` for nothing, yes or no, and nothing that does not print."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return printable(str(value))


def printable(text: str) -> str:
    r"""Escape whatever does not print: a newline becomes `\n`, an escape character `\x1b`."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else _escaped(character) for character in text
    )


def width(text: str) -> int:
    """Count the columns that printable *text* takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def moment(value: object) -> str:
    """Spell an RFC 3339 instant for a table: UTC, to the second; anything else as it is."""
    text = visible(value)
    if len(text) < len("2026-11-23T09:00:02Z") or text[10] != "T" or text[-1] != "Z":
        return text
    return f"{text[:10]} {text[11:19]}Z"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
