"""
Explain an error code of Plivo's: what happened, whose fault, charged, what to do.

Asks nobody: the daemon need not run.
"""

from __future__ import annotations

from argparse import ArgumentParser

from plivostatusd.ctl.context import Run
from plivostatusd.ctl.error_code import code, explanation
from plivostatusd.ctl.errors import DONE, CtlError
from plivostatusd.domain import error_codes

WORDS = "CODE"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the code."""
    parser.add_argument("code", type=code, metavar="CODE", help="as in error_code, such as 30")


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
