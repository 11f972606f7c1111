"""
Write every message with its history, oldest first, one JSON object a line.

Each is what 'show --json' prints, with numbers and texts. What comes after the
beginning is not in it. Exit status 69 when it was cut off.
"""

from __future__ import annotations

from argparse import ArgumentParser

from plivostatusd.ctl.client import Request
from plivostatusd.ctl.context import Run
from plivostatusd.ctl.errors import DONE
from plivostatusd.ctl.filters import add_period
from plivostatusd.ctl.progress import progress
from plivostatusd.ctl.streaming import TIMEOUT_S, documents

WORDS = ""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the period."""
    add_period(parser)


def run(run: Run) -> int:
    """Ask, and write each message as it comes."""
    period = {"since": run.options.since, "until": run.options.until}
    query = {name: value for name, value in period.items() if value is not None}
    request = Request("GET", "/export", query, timeout_s=TIMEOUT_S)
    with progress(beside_results=True) as shown:
        for count, message in enumerate(documents(run.client, request)):
            if message.keys() >= {"id", "events"}:
                run.output.document(message, indent=None)
                shown.show(f"{count + 1} messages, up to {message['created_at']}")
    return DONE
