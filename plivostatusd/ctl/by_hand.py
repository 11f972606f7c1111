"""
What an operator does by hand: served on the Unix socket alone, to root and the daemon's own user.

Shared by `hold`, `release`, `cancel` and `settle`.
"""

from __future__ import annotations

import json
import shlex
from typing import Any

from plivostatusd.ctl.client import Request
from plivostatusd.ctl.context import Run
from plivostatusd.ctl.target import configured_socket

_FORBIDDEN = 403


def do(run: Run, path: str, document: dict[str, Any] | None = None) -> dict[str, Any]:
    """
    POST *document*, or nothing, to *path* and return the daemon's answer.

    Raises:
        Refused: it said no; where that is for want of rights, the hint is the line to type.
    """
    body, headers = b"", {}
    if document is not None:
        body, headers = json.dumps(document).encode(), {"Content-Type": "application/json"}
    reply = run.client.ask(Request("POST", path, body=body, headers=headers))
    if reply.status != _FORBIDDEN:
        return run.client.checked(reply)
    return reply.checked(hint=f"Type: {_line(run)}")


def _line(run: Run) -> str:
    options = vars(run.options)
    what = [options["command"], *options.get("words_again", ())]
    what += [options["id"]] if "id" in options else []
    socket = run.client.address.socket or configured_socket(run.options, run.environ)
    return shlex.join(["sudo", "plivostatusctl", *what, "--socket", socket])
