"""
Makes debian/changelog from CHANGELOG.md. Pure.

A release's date is that of its heading, at midnight UTC. What is not released yet bears
`__version__`, which therefore must not be a release's, and a date that is passed in: the last
commit's. So the same tree always gives the same file, to the byte.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

PACKAGE: Final = "plivostatusd"
_COLUMNS: Final = 79
_UNRELEASED: Final = "Unreleased"
_HEADING: Final = re.compile(r"## \[(?P<version>[^\]]+)\](?: - (?P<date>\d{4}-\d\d-\d\d))?\s*")


class ChangelogError(ValueError):
    """CHANGELOG.md and the version do not tell one story; the text says what to change."""


@dataclass
class _Entry:
    version: str
    date: datetime | None
    groups: dict[str, list[str]] = field(default_factory=dict)


def debian_changelog(text: str, *, version: str, now: datetime, maintainer: str) -> str:
    """
    Return debian/changelog for CHANGELOG.md's *text*; *now* is the date of what is unreleased.

    Raises:
        ChangelogError: *version* is not that of the newest entry.
    """
    entries = [entry for entry in _entries(text) if entry.groups]
    if not entries:
        raise ChangelogError("CHANGELOG.md has no entry")
    newest = entries[0]
    if newest.version == _UNRELEASED:
        if version in {entry.version for entry in entries}:
            raise ChangelogError(
                f"CHANGELOG.md has unreleased changes, and {version} is released: raise __version__"
            )
        newest.version, newest.date = version, None
    elif newest.version != version:
        raise ChangelogError(
            f"CHANGELOG.md's newest release is {newest.version}, and __version__ is {version}"
        )
    return "\n".join(_shown(entry, now, maintainer) for entry in entries)


def _entries(text: str) -> list[_Entry]:
    entries: list[_Entry] = []
    items: list[str] = []
    for line in text.splitlines():
        if line.startswith("## "):
            entries.append(_headed(line))
        elif line.startswith("### ") and entries:
            items = entries[-1].groups.setdefault(line.removeprefix("### ").strip(), [])
        elif line.startswith("- ") and entries:
            items.append(line.removeprefix("- "))
        elif line.startswith("  ") and items:
            items[-1] += f" {line.strip()}"
    return entries


def _headed(line: str) -> _Entry:
    match = _HEADING.fullmatch(line)
    if not match or bool(match["date"]) == (match["version"] == _UNRELEASED):
        raise ChangelogError(f"CHANGELOG.md: {line!r} is not '## [VERSION] - YYYY-MM-DD'")
    date = datetime.fromisoformat(match["date"]).replace(tzinfo=UTC) if match["date"] else None
    return _Entry(match["version"], date)


def _shown(entry: _Entry, now: datetime, maintainer: str) -> str:
    suite = "unstable" if entry.date else "UNRELEASED"
    lines = [f"{PACKAGE} ({entry.version}) {suite}; urgency=medium", ""]
    for group, items in entry.groups.items():
        lines += [f"  [ {group} ]", *map(_item, items), ""]
    lines.append(f" -- {maintainer}  {format_datetime(entry.date or now)}")
    return "\n".join(lines) + "\n"


def _item(text: str) -> str:
    return textwrap.fill(
        text,
        width=_COLUMNS,
        initial_indent="  * ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
