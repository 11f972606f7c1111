"""Answers of the daemon that come line by line, to their end: one that is cut off is an error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from plivostatusd.ctl.client import GOOD, Client, Request
from plivostatusd.ctl.errors import AnswerLost, Refused

TIMEOUT_S = 300.0
_FORBIDDEN = 403


def documents(client: Client, request: Request, *, forbidden: str = "") -> Iterator[dict[str, Any]]:
    """
    Ask, and give the answer's documents as they come; the last is `{"done": true, ...}`.

    *forbidden* is the hint where the asker has not the right.

    Raises:
        Refused: the daemon said no, at once or on the way.
        AnswerLost: the answer ended before its last line.
    """
    with client.open(request) as (reply, lines):
        if reply.status == _FORBIDDEN and forbidden:
            reply.checked(hint=forbidden)
        if reply.status not in GOOD:
            client.checked(reply)
        is_done = False
        for line in lines:
            if line.keys() == {"error"}:  # a message has an `error` too, among others
                raise Refused(int(line["error"].get("status", 500)), line["error"])
            is_done = line.get("done") is True
            yield line
        if not is_done:
            raise AnswerLost("the answer was cut off: is the daemon stopping?")
