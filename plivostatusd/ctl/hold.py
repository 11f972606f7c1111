"""Stop handing messages to Plivo; they stay pending. Callbacks go on."""

from __future__ import annotations

from argparse import ArgumentParser

from plivostatusd.ctl.by_hand import do
from plivostatusd.ctl.context import Run
from plivostatusd.ctl.errors import DONE

WORDS = ""


def add_arguments(parser: ArgumentParser) -> None:
    """Nothing to declare."""


def run(run: Run) -> int:
    """Hold the outbox."""
    answer = do(run, "/outbox/hold")
    if run.output.as_json:
        run.output.document(answer)
    else:
        run.output.line("held: messages stay pending until plivostatusctl release")
    return DONE
