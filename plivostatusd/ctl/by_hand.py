"""
What an operator does by hand: served on the Unix socket alone, to root and the daemon's own user.

Shared by `hold`, `release` and `cancel`.
"""

from __future__ import annotations

import shlex
from typing import Any

from plivostatusd.ctl.client import Request
from plivostatusd.ctl.context import Run
from plivostatusd.ctl.target import configured_socket

_FORBIDDEN = 403


def do(run: Run, path: str) -> dict[str, Any]:
    """
    POST to *path* and return the daemon's answer.

    Raises:
        Refused: it said no; where that is for want of rights, the hint is the line to type.
    """
    reply = run.client.ask(Request("POST", path, body=b""))
    if reply.status != _FORBIDDEN:
        return run.client.checked(reply)
    return reply.checked(hint=f"Type: {_line(run)}")


def _line(run: Run) -> str:
    options = vars(run.options)
    what = [options["command"], options["id"]] if "id" in options else [options["command"]]
    socket = run.client.address.socket or configured_socket(run.options, run.environ)
    return shlex.join(["sudo", "plivostatusctl", *what, "--socket", socket])
