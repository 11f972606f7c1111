"""
Show one message, by our id or by Plivo's message_uuid, with its whole story.

Below its fields stands a timeline: when it was recorded, when Plivo was called
and what it answered, each callback with its delay and how far it can be
trusted; then the price, and what an error code means.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from urllib.parse import quote

from plivostatusd.ctl.context import Run
from plivostatusd.ctl.error_code import explanation
from plivostatusd.ctl.errors import DONE
from plivostatusd.ctl.timeline import COLUMNS, rows, summary
from plivostatusd.ctl.visible import visible

WORDS = "ID"
_FIELDS = (
    "id", "message_uuid", "status", "final", "final_by", "reason", "error_code", "error",
    "conflict", "from", "to", "text", "tag", "created_at", "updated_at", "status_timestamp",
    "initial_status", "units", "amount", "mcc", "mnc", "delivery_seconds",
    "sent_by", "attempts", "called_at", "resend_of",
)  # fmt: skip
_NO_FIELDS = {"events", "error_explained"}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the id."""
    parser.add_argument("id", metavar="ID", help="our id, or Plivo's message_uuid")


def run(run: Run) -> int:
    """Ask for the message and print it."""
    message = run.client.get(path_of(run.options.id))
    if run.output.as_json:
        run.output.document(message)
        return DONE
    print_story(run, message)
    return DONE


def print_story(run: Run, message: dict[str, Any]) -> None:
    """Print the message's fields, its timeline, and what it came to."""
    run.output.pairs([(name, visible(message[name])) for name in _names(message)])
    told = rows(message)
    if told:
        run.output.line("")
        run.output.table(COLUMNS, told)
    ending = summary(message)
    if isinstance(message.get("error_explained"), dict):
        ending += explanation(message["error_explained"])
    if ending:
        run.output.line("")
        run.output.pairs(ending)


def path_of(message_id: str) -> str:
    """Spell the path of a message; whatever was typed stays one segment of it."""
    return f"/messages/{quote(message_id, safe='')}"


def _names(message: dict[str, Any]) -> list[str]:
    known = [name for name in _FIELDS if name in message]
    return known + [name for name in message if name not in {*_FIELDS, *_NO_FIELDS}]
