"""
Fold history again, and say where a message's row is not what its events say.

What stats count is counted again, too, where no ID is given.
There should be no difference. --write makes the rows what the events say. Exit status
1 when there was one, or an ID is not there.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from plivostatusd.ctl.by_hand import follow
from plivostatusd.ctl.context import Run
from plivostatusd.ctl.errors import DONE, FAILED
from plivostatusd.ctl.progress import progress
from plivostatusd.ctl.table import Column
from plivostatusd.ctl.visible import visible

WORDS = "[--write] [ID ...]"
_COLUMNS = (
    Column("message", least=36),
    Column("column", least=len("status_timestamp")),
    Column("stored", least=len("undelivered")),
    Column("folded"),
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the ids, and whether to write."""
    parser.add_argument("ids", metavar="ID", nargs="*", help="our id, or Plivo's message_uuid")
    parser.add_argument("--write", action="store_true", help="make the rows what the events say")


def run(run: Run) -> int:
    """Compare, and print each difference as it is found."""
    options = run.options
    options.words_again = [*(["--write"] if options.write else []), *options.ids]
    demand: dict[str, Any] = {"write": options.write}
    if options.ids:
        demand["ids"] = options.ids
    is_good = True
    with progress(as_json=run.output.as_json) as shown:
        if shown.is_shown:
            demand["progress"] = True
        for document in follow(run, "/rebuild", demand):
            if document.keys() == {"compared"}:
                shown.show(f"{document['compared']} messages compared")
                continue
            is_good = is_good and bool(document.get("done"))
            shown.clear()
            _print(run, document)
            run.output.flush()
    return DONE if is_good else FAILED


def _print(run: Run, document: dict[str, Any]) -> None:
    if run.output.as_json:
        run.output.document(document, indent=None)
    elif document.get("done"):
        told = f"{document['compared']} messages compared, {document['different']} differ"
        written = f", {document['written']} written" if document["written"] else ""
        run.output.line(told + written)
    elif document.get("missing"):
        run.output.row(_COLUMNS, [visible(document["id"]), "-", "-", "no such message"])
    else:
        names = ("id", "column", "stored", "folded")
        run.output.row(_COLUMNS, [visible(document.get(name)) for name in names])
