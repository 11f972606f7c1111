"""
Explain an error code of Plivo's: what happened, whose fault, charged, what to do.

Asks nobody: the daemon need not run.
"""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from plivostatusd.ctl.context import Run
from plivostatusd.ctl.errors import DONE, CtlError
from plivostatusd.ctl.visible import visible
from plivostatusd.domain import error_codes

WORDS = "CODE"
_DIGITS_MAX = 9


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the code."""
    parser.add_argument("code", type=code, metavar="CODE", help="as in error_code, such as 30")


def code(text: str) -> str:
    """Read a code, which is digits; zeros before it mean nothing, but for `000`. For argparse."""
    if not (text.isascii() and text.isdigit()) or len(text) > _DIGITS_MAX:
        raise ArgumentTypeError(f"{text!r} is no error code, such as 30")
    return text.lstrip("0") or "000"


def run(run: Run) -> int:
    """
    Print what is known of the code.

    Raises:
        CtlError: nothing is.
    """
    explained = error_codes.explained(run.options.code)
    if not explained["known"]:
        raise CtlError(str(explained["meaning"]), hint=str(explained["advice"]))
    if run.output.as_json:
        run.output.document(explained)
    else:
        named = [("code", explained["code"]), ("name", explained["name"])]
        run.output.pairs(named + explanation(explained))
    return DONE


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
