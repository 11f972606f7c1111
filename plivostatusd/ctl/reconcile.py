"""
Ask Plivo's API now, and say what that changed.

With IDs: about these messages, a send whose outcome is unknown among them, which is
looked for in Plivo's list. Without: about every message that is still open, at the
pace of reconcile.get_per_second and list_per_minute; Ctrl-C ends the watching, not
the asking.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from plivostatusd.ctl.by_hand import follow
from plivostatusd.ctl.context import Run
from plivostatusd.ctl.errors import DONE, FAILED
from plivostatusd.ctl.table import Column
from plivostatusd.ctl.visible import visible

WORDS = "[ID ...]"
_COLUMNS = (
    Column("message", least=36),
    Column("before", least=len("undelivered")),
    Column("after", least=len("undelivered")),
    Column("result", least=len("unchanged")),
    Column("reason"),
)
_NOT_GOOD = {"failed", "not-found"}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the ids."""
    parser.add_argument("ids", metavar="ID", nargs="*", help="our id, or Plivo's message_uuid")


def run(run: Run) -> int:
    """Ask, and print each answer as it comes."""
    ids = run.options.ids
    run.options.words_again = ids
    results: dict[str, int] = {}
    for document in follow(run, "/reconcile", {"ids": ids} if ids else {}):
        if document.get("done"):
            results = document["results"]
            _end(run, document)
        else:
            _print(run, document)
        run.output.flush()
    return FAILED if _NOT_GOOD & results.keys() else DONE


def _print(run: Run, document: dict[str, Any]) -> None:
    if run.output.as_json:
        run.output.document(document, indent=None)
        return
    names = ("id", "before", "after", "result", "reason")
    run.output.row(_COLUMNS, [visible(document.get(name)) for name in names])


def _end(run: Run, document: dict[str, Any]) -> None:
    if run.output.as_json:
        run.output.document(document, indent=None)
        return
    told = ", ".join(f"{count} {result}" for result, count in sorted(document["results"].items()))
    run.output.line(f"asked about {document['asked']}{': ' if told else ''}{told}")
