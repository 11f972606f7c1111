"""Cancel a message while it is pending: it becomes refused, and is never sent."""

from __future__ import annotations

from argparse import ArgumentParser

from plivostatusd.ctl.by_hand import do
from plivostatusd.ctl.context import Run
from plivostatusd.ctl.errors import DONE
from plivostatusd.ctl.show import path_of
from plivostatusd.ctl.visible import visible

WORDS = "ID"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the id."""
    parser.add_argument("id", metavar="ID", help="our id")


def run(run: Run) -> int:
    """Cancel the message."""
    message = do(run, f"{path_of(run.options.id)}/cancel")
    if run.output.as_json:
        run.output.document(message)
    else:
        run.output.line(f"{visible(message.get('id'))}  {visible(message.get('status'))}")
    return DONE
