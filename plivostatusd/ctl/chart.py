"""Bars beside figures. Pure."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH = 30
_EIGHTHS = " ▏▎▍▌▋▊▉"
_FULL = "█"


def bars(values: Sequence[float], *, blocks: bool, width: int = WIDTH) -> list[str]:
    """
    Draw each of *values* as a bar, the greatest *width* columns wide; a little is not nothing.

    With *blocks* in eighths of a column, else in `#` for where a terminal knows ASCII alone.
    """
    most = max(values, default=0)
    if most <= 0:
        return ["" for _ in values]
    return [_bar(max(0.0, value) / most * width, blocks=blocks) for value in values]


def _bar(length: float, *, blocks: bool) -> str:
    if not blocks:
        return "#" * max(round(length), length > 0)
    eighths = max(round(length * 8), length > 0)
    full, rest = divmod(eighths, 8)
    return _FULL * full + (_EIGHTHS[rest] if rest else "")
