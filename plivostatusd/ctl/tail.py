"""
Follow the events as they are recorded; ends with Ctrl-C.

Survives the daemon's restarts: it asks for what comes after the last event it
printed, so none is lost or printed twice. With --json each event is one line;
its 'cursor' is what --after takes. --status and --error are the event's own.
"""

from __future__ import annotations

import itertools
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from plivostatusd.ctl.client import Reply, Request, records
from plivostatusd.ctl.context import Run
from plivostatusd.ctl.errors import DONE, AnswerLost, Refused, Unreachable
from plivostatusd.ctl.filters import add_filters, add_since, holds
from plivostatusd.ctl.list import count
from plivostatusd.ctl.options import add_csv
from plivostatusd.ctl.table import Column
from plivostatusd.ctl.visible import moment, visible

WORDS = ""
WAIT_S = 30
PAGE_MAX = 500
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)
_ANSWER_TIMEOUT_S = WAIT_S + 15.0
_TROUBLE_TOLD_AT = 1  # the first is a restart, as a rule, and nothing to talk of
_GONE = 410
_TOO_MANY = 429
_SERVER_ERRORS = range(500, 600)
_OF_EVENT = ("received_at", "at", "status", "source", "trust", "error_code", "error", "reason")
_OF_MESSAGE = (
    *("cursor", "message_id", "message_uuid", "status", "from", "to", "tag", "sent_by"),
    *("mcc", "mnc"),
)
_OF_BOTH = {"status"}
_COLUMNS = (
    Column("received", least=len("2026-11-23 09:00:02Z")),
    Column("message", least=36),
    Column("event", least=len("undelivered")),
    Column("status", least=len("undelivered")),
    Column("source", least=len("callback")),
    Column("trust", least=len("url-only")),
    Column("error", least=len("error")),
    Column("tag"),
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare where to begin and when to end."""
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        "--after", metavar="CURSOR", help="begin after this event (otherwise: from now on)"
    )
    add_since(start)
    parser.add_argument("--count", type=count, metavar="N", help="end after N events")
    add_filters(parser)
    add_csv(parser)


def run(run: Run) -> int:
    """Print events until there were enough, or for ever."""
    cursor = _start(run)
    if run.options.csv:
        titles = [f"event_{name}" if name in _OF_BOTH else name for name in _OF_EVENT]
        run.output.csv([[*titles, *_OF_MESSAGE]])
    elif not run.output.as_json:
        run.output.titles(_COLUMNS)
    run.output.flush()
    for events in _batches(run, cursor, run.options.count):
        for event in events:
            _print(run, event)
        run.output.flush()
    return DONE


def _batches(run: Run, cursor: str, left: int | None) -> Iterator[list[dict[str, Any]]]:
    while left is None or left > 0:
        page = _page(run, {"after": cursor, "limit": PAGE_MAX, "wait": f"{WAIT_S}s"})
        events = records(page, "events")
        found = [event for event in events if holds(run.options, event)][:left]
        yield found
        cursor = str(page.get("next") or cursor)
        left = None if left is None else left - len(found)
        if not events:
            run.pause(PAUSES_S[0])  # a daemon that cannot wait must not be asked without end


def _start(run: Run) -> str:
    """
    Return the cursor to begin at, once the daemon has shown that it is there and knows it.

    For "from now on" this asks where the events end, and does not wait for more: a question that
    waits would leave nothing to go on with if the daemon stopped under it.
    """
    after: str | None = run.options.after
    place = {"since": run.options.since} if run.options.since else {"after": after or "end"}
    reply = run.client.ask(Request("GET", "/events", {**place, "limit": 0}))
    end = _checked(run, reply).get("next")
    return after or str(end or "end")


def _page(run: Run, query: dict[str, str | int]) -> dict[str, Any]:
    """Ask until an answer comes: a daemon that restarts is waited for."""
    request = Request("GET", "/events", query, timeout_s=_ANSWER_TIMEOUT_S)
    for attempt in itertools.count():
        try:
            reply = run.client.ask(request)
        except (Unreachable, AnswerLost) as error:
            trouble = error.detail
        else:
            if not _is_passing(reply):
                return _checked(run, reply)
            trouble = f"the daemon answers {reply.status}"
        if attempt == _TROUBLE_TOLD_AT:
            run.output.note(f"{trouble}; waiting for it")
        run.pause(PAUSES_S[min(attempt, len(PAUSES_S) - 1)])
    raise AssertionError("counting never ends")


def _is_passing(reply: Reply) -> bool:
    return reply.status in _SERVER_ERRORS or reply.status == _TOO_MANY


def _checked(run: Run, reply: Reply) -> dict[str, Any]:
    if reply.status == _GONE:
        raise Refused(_GONE, reply.document, hint="Begin anew: plivostatusctl tail")
    return run.client.checked(reply)


def _print(run: Run, record: dict[str, Any]) -> None:
    if run.output.as_json:
        run.output.document(record, indent=None)
        return
    event: dict[str, Any] = record.get("event") or {}
    if run.options.csv:
        cells = [event.get(name) for name in _OF_EVENT] + [record.get(name) for name in _OF_MESSAGE]
        run.output.csv([cells])
        return
    row = [
        moment(event.get("received_at")),
        visible(record.get("message_id")),
        visible(event.get("status")),
        visible(record.get("status")),
        visible(event.get("source")),
        visible(event.get("trust")),
        visible(event.get("error_code")),
        visible(record.get("tag")),
    ]
    run.output.row(_COLUMNS, row)
