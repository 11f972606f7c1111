"""
Hands one send to the daemon, and never twice.

Every send carries an Idempotency-Key, its own or one made here. When the answer is lost on its way
(the daemon was restarted under us, say), the same body is asked for again under the same key and at
the same address: the daemon then tells what became of the first. Only when no connection was ever
made, or the daemon itself said that nothing was recorded, is that what the caller hears.
"""

from __future__ import annotations

from collections.abc import Callable

from plivostatusd.ctl.client import Client, Reply, Request
from plivostatusd.ctl.errors import (
    FAILED,
    UNAVAILABLE,
    AnswerLost,
    InDoubt,
    NotRecorded,
    Unreachable,
    describe,
    hint_of,
)

PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Together longer than a restart that drains its requests first."""

_NOT_RECORDED = frozenset({429, 503})
_CONFLICT = 409
_SERVER_ERRORS = range(500, 600)


def hand_in(client: Client, request: Request, key: str, pause: Callable[[float], None]) -> Reply:
    """
    Ask until it is known what became of *request*, which carries *key*.

    Raises:
        NotRecorded: provably nothing was recorded; it may be tried again.
        InDoubt: no answer told; only the same key makes another try safe.
    """
    doubt: InDoubt | None = None
    for pause_s in (*PAUSES_S, None):
        try:
            reply = client.ask(request)
        except Unreachable as error:
            if doubt is None:
                raise NotRecorded(error.detail, hint=error.hint) from error
        except AnswerLost as error:
            doubt = _doubt(client, key, error.detail, UNAVAILABLE)
        else:
            if reply.status in _NOT_RECORDED and doubt is None:
                raise NotRecorded(describe(reply.status, reply.document), hint=_when(reply))
            if not _is_unclear(reply):
                return reply
            if doubt is None:
                doubt = _doubt(client, key, describe(reply.status, reply.document), FAILED)
        if pause_s is not None:
            pause(pause_s)
    raise doubt or AssertionError("a loop without doubt has returned")


def doubt_about(client: Client, key: str) -> InDoubt:
    """Say that a send was given up before its answer came."""
    return _doubt(client, key, "given up before an answer came", UNAVAILABLE)


def _is_unclear(reply: Reply) -> bool:
    """
    The answer leaves open whether the message is recorded.

    After a doubt, "nothing was recorded" is the second try's, and says nothing of the first.
    """
    unclear = reply.status in _SERVER_ERRORS or reply.status in _NOT_RECORDED
    return unclear or reply.status == _CONFLICT or reply.is_foreign


def _doubt(client: Client, key: str, reason: str, exit_status: int) -> InDoubt:
    return InDoubt(
        f"{reason}; it is not known whether the message was recorded",
        hint="To ask again without sending it twice, repeat the command as the same user with "
        f"{client.address.option} --idempotency-key {key}",
        exit_status=exit_status,
    )


def _when(reply: Reply) -> str:
    after = reply.retry_after or ""
    again = f"try again in {after} s" if after.isascii() and after.isdigit() else "try again later"
    return f"Nothing was recorded; {again}. {hint_of(reply.document)}".rstrip(". ")
