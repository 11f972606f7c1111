"""List messages, newest first."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from plivostatusd.ctl import filters
from plivostatusd.ctl.client import records
from plivostatusd.ctl.context import Run
from plivostatusd.ctl.errors import DONE
from plivostatusd.ctl.filters import add_filters, add_period
from plivostatusd.ctl.options import add_csv
from plivostatusd.ctl.table import Column
from plivostatusd.ctl.visible import moment as visible_moment
from plivostatusd.ctl.visible import visible

WORDS = ""
LIMIT = 50
PAGE_MAX = 1_000
_FILTERS = (*filters.ABOUT_MESSAGES, "since", "until", "final")
_FIELDS = (
    "created_at", "id", "message_uuid", "from", "to", "status", "final", "final_by", "error_code",
    "error", "reason", "tag", "sent_by", "units", "amount", "mcc", "mnc", "status_timestamp",
    "delivery_seconds", "updated_at", "text",
)  # fmt: skip
_COLUMNS = tuple(
    Column(title) for title in ("created", "id", "to", "status", "final", "error", "tag")
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the filters."""
    add_filters(parser)
    add_period(parser)
    ended = parser.add_mutually_exclusive_group()
    ended.add_argument("--final", action="store_const", const="true", help="that are settled")
    ended.add_argument(
        "--open", dest="final", action="store_const", const="false", help="that may still change"
    )
    parser.add_argument(
        "--limit", type=count, default=LIMIT, metavar="N", help=f"at most so many ({LIMIT})"
    )
    parser.add_argument("--cursor", metavar="CURSOR", help="go on where a list ended ('next')")
    add_csv(parser)


def count(text: str) -> int:
    """Read a number of things, 1 or more. For argparse."""
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is no number above 0")
    return int(text)


def run(run: Run) -> int:
    """Ask page by page, until the limit or the end, and print."""
    messages, cursor = _collect(run)
    if run.output.as_json:
        run.output.document({"messages": messages, "next": cursor})
        return DONE
    if run.options.csv:
        run.output.csv([_FIELDS])
        run.output.csv([message.get(name) for name in _FIELDS] for message in messages)
    else:
        run.output.table(_COLUMNS, [_row(message) for message in messages])
    if cursor:
        run.output.note(f"there are more: --limit N, or --cursor {cursor}")
    return DONE


def _collect(run: Run) -> tuple[list[dict[str, Any]], str | None]:
    query = filters.query(run.options, *_FILTERS)
    messages: list[dict[str, Any]] = []
    cursor: str | None = run.options.cursor
    while len(messages) < run.options.limit:
        query["limit"] = min(PAGE_MAX, run.options.limit - len(messages))
        if cursor:
            query["cursor"] = cursor
        page = run.client.get("/messages", query)
        messages += records(page, "messages")
        cursor = page.get("next")
        if not cursor:
            break
    return messages, cursor


def _row(message: dict[str, Any]) -> list[str]:
    return [
        visible_moment(message.get("created_at")),
        visible(message.get("id")),
        visible(message.get("to")),
        visible(message.get("status")),
        visible(message.get("final")),
        visible(message.get("error_code")),
        visible(message.get("tag")),
    ]
