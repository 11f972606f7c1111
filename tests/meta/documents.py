"""What is written for whoever runs the daemon, as tests read it: tables, links, commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.meta.source import ROOT

DOCS: Final = ROOT / "docs"
PAGES: Final = sorted((ROOT / "packaging" / "man").glob("*.scd"))
TEXTS: Final = [
    *sorted(ROOT.glob("*.md")),
    *sorted(DOCS.glob("*.md")),
    ROOT / "packaging" / "debian" / "README.Debian",
    *PAGES,
]
"""Every document."""

_CODE: Final = re.compile(r"`([^`\n]+)`")
_FENCED: Final = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_PROGRAM: Final = re.compile(
    r"(?:^|[|;&(]|\bsudo|\* \* \*) *(?:/usr/lib/nagios/plugins/)?"
    r"(plivostatusctl|plivostatusd|check_plivostatus)(?=[ \n])([^|;&<>()#\n]*)",
    re.MULTILINE,
)
"""Where a shell would look for a command, and in a crontab's line."""


def blocks(text: str, language: str | None = None) -> list[str]:
    """Return what stands between ``` and ```, of *language* alone where one is given."""
    found = [(match[1], match[2]) for match in _FENCED.finditer(text)]
    return [block for said, block in found if language in {None, said}]


def rows(text: str, heading: str) -> list[list[str]]:
    """Return the cells of each row below each head of a table that begins with *heading*."""
    found, is_in = [], False
    for line in text.splitlines():
        cells = [each.strip() for each in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not cells:
            is_in = False
        elif cells[0] == heading:
            is_in = True
        elif is_in and not set(cells[0]) <= {"-", ":"}:
            found.append(cells)
    return found


def words(cell: str) -> list[str]:
    """Return what a cell has as code."""
    return _CODE.findall(cell)


def typed(text: str) -> Iterator[tuple[str, str]]:
    """Give each command line of ours that a reader may type: the program, and what follows."""
    plain = text.replace("\\\\\n", " ").replace("\\\n", " ")
    spans = [*blocks(plain), *(each for line in plain.splitlines() for each in words(line))]
    for span in spans:
        for program, rest in _PROGRAM.findall(f"{span}\n"):
            if rest.strip():
                yield program, rest.strip()


def links(path: Path) -> Iterator[tuple[str, str]]:
    """Give where each link within the project leads: a file's name, or none, and a heading's."""
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
        if "://" not in target:
            file, _, anchor = target.partition("#")
            yield file, anchor


def anchors(path: Path) -> set[str]:
    """Return what can be linked to in a file: its headings, as GitHub spells them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}
