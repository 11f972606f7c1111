"""An error code of Plivo's: how it is typed, and how what is known of it is shown. Pure."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import Any

from plivostatusd.ctl.visible import visible

_DIGITS_MAX = 9


def code(text: str) -> str:
    """Read a code, which is digits; zeros before it mean nothing, but for `000`. For argparse."""
    if not (text.isascii() and text.isdigit()) or len(text) > _DIGITS_MAX:
        raise ArgumentTypeError(f"{text!r} is no error code, such as 30")
    return text.lstrip("0") or "000"


def explanation(explained: dict[str, Any]) -> list[tuple[str, str]]:
    """Give what is known of a code as `name  value` lines; `show` prints them, too."""
    lines = [
        ("error", visible(explained.get("meaning"))),
        ("fault", visible(explained.get("fault"))),
        ("charged", visible(explained.get("charged"))),
        ("advice", visible(explained.get("advice"))),
    ]
    if explained.get("second_hand"):
        lines.append(("source", "not Plivo itself: other people's copies of its pages"))
    return lines
