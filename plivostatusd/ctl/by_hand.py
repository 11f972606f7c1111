"""
What an operator does by hand: served on the Unix socket alone, to root and the daemon's own user.

Shared by `hold`, `release`, `cancel`, `settle`, `reconcile`, `rebuild`, `backup`, `replay`,
`forget`, `import`, `tokens` and `doctor`.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from plivostatusd.ctl.client import ANSWER_TIMEOUT_S, GOOD, Reply, Request
from plivostatusd.ctl.connection import Answer
from plivostatusd.ctl.context import Run
from plivostatusd.ctl.streaming import TIMEOUT_S, documents
from plivostatusd.ctl.target import configured_socket

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
    return _checked(run, run.client.ask(Request("POST", path, body=body, headers=headers)))


def look(run: Run, path: str, *, timeout_s: float = ANSWER_TIMEOUT_S) -> dict[str, Any]:
    """
    GET *path*, which is for operators, and return the daemon's answer.

    Raises:
        Refused: as `do`.
    """
    return _checked(run, run.client.ask(Request("GET", path, timeout_s=timeout_s)))


def _checked(run: Run, reply: Reply) -> dict[str, Any]:
    if reply.status != _FORBIDDEN:
        return run.client.checked(reply)
    return reply.checked(hint=f"Type: {_line(run)}")


def ask(run: Run, path: str, query: Mapping[str, str | int]) -> dict[str, Any]:
    """
    POST to *path* with *query*, and return the daemon's answer.

    Raises:
        Refused: as `do`.
    """
    return _checked(run, run.client.ask(Request("POST", path, query, body=b"")))


def follow(run: Run, path: str, document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """
    POST *document* to *path* and give the answer's documents as they come.

    Raises:
        Refused, AnswerLost: as `documents`.
    """
    body = json.dumps(document).encode()
    request = Request("POST", path, body=body, headers=_JSON, timeout_s=TIMEOUT_S)
    return documents(run.client, request, forbidden=f"Type: {_line(run)}")


@contextmanager
def download(run: Run, path: str, timeout_s: float) -> Iterator[Answer]:
    """
    POST to *path*, and give what is to be read then, for a block's length (`Client.download`).

    Raises:
        Refused: the daemon said no.
    """
    with run.client.download(Request("POST", path, body=b"", timeout_s=timeout_s)) as (
        reply,
        answer,
    ):
        if reply.status == _FORBIDDEN:
            reply.checked(hint=f"Type: {_line(run)}")
        if reply.status not in GOOD:
            run.client.checked(reply)
        yield answer


def _line(run: Run) -> str:
    options = vars(run.options)
    what = [options["command"], *options.get("words_again", ())]
    what += [options["id"]] if "id" in options else []
    socket = run.client.address.socket or configured_socket(run.options, run.environ)
    return shlex.join(["sudo", "plivostatusctl", *what, "--socket", socket])
