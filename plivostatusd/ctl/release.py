"""Hand messages to Plivo again, after a hold."""

from __future__ import annotations

from argparse import ArgumentParser

from plivostatusd.ctl.by_hand import do
from plivostatusd.ctl.context import Run
from plivostatusd.ctl.errors import DONE

WORDS = ""


def add_arguments(parser: ArgumentParser) -> None:
    """Nothing to declare."""


def run(run: Run) -> int:
    """Release the outbox."""
    answer = do(run, "/outbox/release")
    if run.output.as_json:
        run.output.document(answer)
    else:
        run.output.line("released: messages go to Plivo")
    return DONE
