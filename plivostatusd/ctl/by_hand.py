"""
What an operator does by hand: served on the Unix socket alone, to root and the daemon's own user.

Shared by `hold`, `release`, `cancel`, `settle`, `reconcile`, `rebuild` and `forget`.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

from plivostatusd.ctl.client import GOOD, Request
from plivostatusd.ctl.context import Run
from plivostatusd.ctl.errors import AnswerLost, Refused
from plivostatusd.ctl.target import configured_socket

FOLLOW_TIMEOUT_S = 300.0
_FORBIDDEN = 403
_JSON = {"Content-Type": "application/json"}


def do(run: Run, path: str, document: dict[str, Any] | None = None) -> dict[str, Any]:
    """
    POST *document*, or nothing, to *path* and return the daemon's answer.

    Raises:
        Refused: it said no; where that is for want of rights, the hint is the line to type.
    """
    body = b"" if document is None else json.dumps(document).encode()
    headers = None if document is None else _JSON
    reply = run.client.ask(Request("POST", path, body=body, headers=headers))
    if reply.status != _FORBIDDEN:
        return run.client.checked(reply)
    return reply.checked(hint=f"Type: {_line(run)}")


def follow(run: Run, path: str, document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """
    POST *document* to *path* and give the answer's documents as they come.

    Raises:
        Refused: the daemon said no, at once or on the way.
        AnswerLost: the answer ended before its last line.
    """
    body = json.dumps(document).encode()
    request = Request("POST", path, body=body, headers=_JSON, timeout_s=FOLLOW_TIMEOUT_S)
    with run.client.open(request) as (reply, lines):
        if reply.status == _FORBIDDEN:
            reply.checked(hint=f"Type: {_line(run)}")
        if reply.status not in GOOD:
            run.client.checked(reply)
        is_done = False
        for line in lines:
            if "error" in line:
                raise Refused(int(line["error"].get("status", 500)), line["error"])
            is_done = bool(line.get("done"))
            yield line
        if not is_done:
            raise AnswerLost("the answer was cut off: is the daemon stopping?")


def _line(run: Run) -> str:
    options = vars(run.options)
    what = [options["command"], *options.get("words_again", ())]
    what += [options["id"]] if "id" in options else []
    socket = run.client.address.socket or configured_socket(run.options, run.environ)
    return shlex.join(["sudo", "plivostatusctl", *what, "--socket", socket])
