"""
The commands there are, in the order `--help` shows them.

Each is a module of this package by the same name (of `import`, which is a word of Python's,
`import_csv`), imported when it is asked for, with:

- its docstring: what `--help` says of it, within 79 columns;
- `WORDS`: what stands behind its name, apart from options;
- `add_arguments(parser)`: declares what it takes;
- `run(run)`: does it and returns the exit status, or raises `CtlError`.
"""

from __future__ import annotations

import importlib
from argparse import ArgumentParser
from typing import Protocol, cast

from plivostatusd.ctl.context import Run
from plivostatusd.ctl.errors import UsageError

SUMMARIES = {
    "send": "send a message",
    "show": "one message with its events",
    "list": "messages, newest first",
    "tail": "follow the events as they are recorded",
    "stats": "how many messages ended how and how fast, and the outbox",
    "hold": "stop handing messages to Plivo (callbacks go on)",
    "release": "hand messages to Plivo again",
    "cancel": "cancel a message that is still pending",
    "settle": "say what became of a send whose outcome is unknown",
    "doctor": "look at all that it rests on, and say what to type",
    "tokens": "which of Plivo's tokens verified callbacks when last",
    "reconcile": "ask Plivo's API now what became of messages",
    "rebuild": "fold history again, and say what differs",
    "prove": "everything known of a message, as evidence to hand on",
    "forget": "blank a person's number and texts everywhere",
    "explain": "what an error code of Plivo's means, and what to do",
    "replay": "emit stored events again, in order, at a pace",
    "export": "every message with its history, a line of JSON each",
    "import": "take over messages that another program kept, as CSV",
    "backup": "copy the whole store into a file, while the daemon runs",
    "simulate": "serve Plivo's API on loopback, to try things out",
}


class Command(Protocol):
    """What each command's module provides."""

    WORDS: str

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare what the command takes."""
        ...

    def run(self, run: Run) -> int:
        """Do it; return the exit status."""
        ...


def command(name: str) -> Command:
    """
    Import the module of the command called *name*.

    Raises:
        UsageError: there is none.
    """
    if name not in SUMMARIES:
        raise UsageError(f"there is no command {name!r}{_like(name)}", hint=_SEE_HELP)
    module = _MODULES.get(name, name)
    return cast("Command", importlib.import_module(f"plivostatusd.ctl.{module}"))


_MODULES = {"import": "import_csv"}
_SEE_HELP = "See plivostatusctl --help"


def _like(name: str) -> str:
    import difflib  # in case of error only: it costs 2 ms

    close = difflib.get_close_matches(name, SUMMARIES, n=1)
    return f"; did you mean {close[0]}?" if close else ""
