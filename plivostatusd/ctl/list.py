"""List messages, newest first."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import Any

from plivostatusd.ctl.client import records
from plivostatusd.ctl.context import Run
from plivostatusd.ctl.errors import DONE
from plivostatusd.ctl.since import moment
from plivostatusd.ctl.table import Column
from plivostatusd.ctl.visible import moment as visible_moment
from plivostatusd.ctl.visible import visible

WORDS = ""
LIMIT = 50
PAGE_MAX = 1_000
_FILTERS = ("status", "to", "from", "tag", "since", "until", "final")
_COLUMNS = tuple(
    Column(title) for title in ("created", "id", "to", "status", "final", "error", "tag")
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the filters."""
    parser.add_argument("--status", metavar="STATUS", help="with this status")
    parser.add_argument("--to", metavar="NUMBER", help="sent to this number")
    parser.add_argument("--from", metavar="NUMBER", help="sent from this sender")
    parser.add_argument("--tag", metavar="TAG", help="with this tag")
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


def add_period(parser: ArgumentParser) -> None:
    """Declare `--since` and `--until`."""
    parser.add_argument(
        "--since", type=moment, metavar="WHEN", help="not before: 30m, 2h, 7d (ago), or RFC 3339"
    )
    parser.add_argument("--until", type=moment, metavar="WHEN", help="before")


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
    run.output.table(_COLUMNS, [_row(message) for message in messages])
    if cursor:
        run.output.note(f"there are more: --limit N, or --cursor {cursor}")
    return DONE


def _collect(run: Run) -> tuple[list[dict[str, Any]], str | None]:
    query = _query(run.options)
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


def _query(options: Namespace) -> dict[str, str | int]:
    given = {name: getattr(options, name) for name in _FILTERS}
    return {name: value for name, value in given.items() if value is not None}


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
