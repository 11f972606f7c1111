"""
Blank a person's number, and the texts that went to it, everywhere in the store.

Messages, what arrived about them, refused callbacks, the spool, the write-ahead
log and what is left of it on free pages; counts stay true. Backups are not
touched: delete them, or wait until they are too old. What is pending for the
number is not sent. Give - and the number on standard input, to keep it out of
the process list and the shell's history.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from plivostatusd.ctl.by_hand import follow
from plivostatusd.ctl.context import Run
from plivostatusd.ctl.errors import DONE, FAILED, CtlError, UsageError
from plivostatusd.ctl.visible import visible
from plivostatusd.domain import phone

WORDS = "NUMBER|-"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the number."""
    parser.add_argument("number", metavar="NUMBER", help="such as +14155552323, or - for stdin")
    parser.add_argument("--yes", action="store_true", help="do not ask, though on a terminal")


def run(run: Run) -> int:
    """Have the number forgotten, and say what was done; 1 when it is still somewhere."""
    number = _number(run)
    run.options.words_again = ["-"]
    if not run.options.yes and run.options.number != "-":
        _ask(number)
    done: dict[str, Any] = {}
    for document in follow(run, "/forget", {"number": number}):
        if document.get("done"):
            done = document
        elif sys.stderr.isatty():
            run.output.note(f"{document.get('of')}: {document.get('looked_at')} looked at")
    if run.output.as_json:
        run.output.document(done)
    else:
        _print(run, done)
    return FAILED if done.get("remains_in") else DONE


def _number(run: Run) -> str:
    given: str = run.options.number
    if given == "-":
        given = run.read_input().decode("utf-8", "replace").strip()
    number = phone.normalise(given)
    if number is None:
        raise UsageError("forget: that is no number, such as +14155552323")
    return number


def _ask(number: str) -> None:
    """Have a person at a terminal confirm it; nobody else is asked."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        return
    sys.stderr.write(f"Forget {phone.mask(number)}? This cannot be undone. [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise CtlError("nothing was forgotten")


def _print(run: Run, done: dict[str, Any]) -> None:
    names = ("messages", "events", "refused", "cancelled")
    run.output.pairs([(name, visible(done.get(name))) for name in names])
    if done.get("open"):
        run.output.note(
            f"{done['open']} of the messages are open: what Plivo reports of them later bears the"
            " number again. Type it again then"
        )
    for name in done.get("remains_in") or ():
        run.output.note(f"the number still stands in {name}")
    for name in done.get("not_touched") or ():
        run.output.note(f"not touched, a copy of the store: {name}")
    run.output.note("backups are not touched")
