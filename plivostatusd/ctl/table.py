"""Aligned columns, with colour where it is wanted. Pure: rows in, lines out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from plivostatusd.ctl.visible import width

GAP = "  "
_BOLD, _RED, _GREEN, _YELLOW, _RESET = "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"
_STATUS_COLOURS = {
    "delivered": _GREEN,
    "read": _GREEN,
    "undelivered": _RED,
    "failed": _RED,
    "rejected": _RED,
    "refused": _RED,
    "unknown": _YELLOW,
    "ok": _GREEN,
    "warning": _YELLOW,
    "fault": _RED,
}


class Column(NamedTuple):
    """One column: its title, its least width, and whether it is aligned at the right."""

    title: str
    least: int = 0
    right: bool = False


def lines(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], *, colour: bool = False
) -> Iterator[str]:
    """Yield the title line and one line a row; each column is as wide as its widest cell."""
    widths = [
        max([least, *(width(row[index]) for row in rows)])
        for index, least in enumerate(least_widths(columns))
    ]
    yield title_line(columns, widths, colour=colour)
    for row in rows:
        yield row_line(columns, row, widths, colour=colour)


def least_widths(columns: Sequence[Column]) -> list[int]:
    """Say how wide each column is without any row."""
    return [max(column.least, width(column.title)) for column in columns]


def title_line(columns: Sequence[Column], widths: Sequence[int], *, colour: bool) -> str:
    """Spell the titles, bold where colour is wanted."""
    line = _joined(columns, [column.title for column in columns], widths, colour=False)
    return f"{_BOLD}{line}{_RESET}" if colour else line


def row_line(
    columns: Sequence[Column], row: Sequence[str], widths: Sequence[int], *, colour: bool
) -> str:
    """Spell one row; a cell that is wider than its column pushes the rest to the right."""
    return _joined(columns, row, widths, colour=colour)


def pairs(rows: Sequence[tuple[str, str]], *, colour: bool = False) -> Iterator[str]:
    """Yield `name  value` lines, the names as wide as the widest."""
    widest = max((width(name) for name, _ in rows), default=0)
    for name, value in rows:
        yield f"{name:<{widest}}{GAP}{paint(value) if colour else value}"


def paint(word: str) -> str:
    """Colour *word* when it is the name of a status."""
    colour = _STATUS_COLOURS.get(word)
    return f"{colour}{word}{_RESET}" if colour else word


def _joined(
    columns: Sequence[Column], cells: Sequence[str], widths: Sequence[int], *, colour: bool
) -> str:
    spelled = [
        _padded(cell, wanted, right=column.right, colour=colour)
        for column, cell, wanted in zip(columns, cells, widths, strict=True)
    ]
    return GAP.join(spelled).rstrip()


def _padded(cell: str, wanted: int, *, right: bool, colour: bool) -> str:
    padding = " " * (wanted - width(cell))
    word = paint(cell) if colour else cell
    return padding + word if right else word + padding
