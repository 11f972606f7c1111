"""Show one message, by our id or by Plivo's message_uuid, with its events."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from urllib.parse import quote

from plivostatusd.ctl.context import Run
from plivostatusd.ctl.errors import DONE
from plivostatusd.ctl.table import Column
from plivostatusd.ctl.visible import moment, visible

WORDS = "ID"
_FIELDS = (
    "id", "message_uuid", "status", "final", "final_by", "reason", "error_code", "error",
    "conflict", "from", "to", "text", "tag", "created_at", "updated_at", "status_timestamp",
    "initial_status", "units", "amount", "mcc", "mnc", "resend_of",
)  # fmt: skip
_EVENT_COLUMNS = tuple(
    Column(title) for title in ("received", "status", "source", "trust", "at", "error")
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the id."""
    parser.add_argument("id", metavar="ID", help="our id, or Plivo's message_uuid")


def run(run: Run) -> int:
    """Ask for the message and print it."""
    message = run.client.get(path_of(run.options.id))
    if run.output.as_json:
        run.output.document(message)
        return DONE
    run.output.pairs([(name, visible(message[name])) for name in _names(message)])
    events = message.get("events")
    if events:
        run.output.line("")
        run.output.table(_EVENT_COLUMNS, [_event_row(event) for event in events])
    return DONE


def path_of(message_id: str) -> str:
    """Spell the path of a message; whatever was typed stays one segment of it."""
    return f"/messages/{quote(message_id, safe='')}"


def _names(message: dict[str, Any]) -> list[str]:
    known = [name for name in _FIELDS if name in message]
    return known + [name for name in message if name not in _FIELDS and name != "events"]


def _event_row(event: dict[str, Any]) -> list[str]:
    return [
        moment(event.get("received_at")),
        visible(event.get("status")),
        _source(event),
        visible(event.get("trust")),
        moment(event.get("at")),
        visible(event.get("error_code")),
    ]


def _source(event: dict[str, Any]) -> str:
    """Name where an event came from; of what was done by hand, whose hand it was."""
    source = visible(event.get("source"))
    return f"{source} ({visible(event['by'])})" if event.get("by") else source
