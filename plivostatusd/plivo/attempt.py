"""
One call to Plivo as two threads see it: the one that makes it and the one that waits for it.

Owns the only fact that tells "never sent" from "perhaps sent": whether the first byte of the
request was handed to a socket. Promises that an attempt aborted before that byte never writes it,
and that an abort after it cuts the connection at once. Made by ``api``, told by ``wire``.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Protocol, TypeVar

from plivostatusd.plivo.answer import Answer
from plivostatusd.plivo.outcome import NotSent, Unknown

Verdict = TypeVar("Verdict")
REASON_CHARS_MAX = 200


class AttemptAbortedError(OSError):
    """Nobody waits for this call any more, or it has written its one request already."""


class HasFileno(Protocol):
    """Any socket, plain or TLS."""

    def fileno(self) -> int:
        """Return its descriptor."""


class Attempt:
    """
    One call, from dialling to the last byte of its answer.

    The worker thread calls :meth:`hold`, :meth:`write` and :meth:`release` and sets *http_status*,
    *answer* and *failure*; the event loop calls :meth:`abort` and, after that or once the worker
    has ended, :meth:`verdict`.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self.now_s = now_s
        self.http_status: int | None = None
        self.answer: Answer | None = None
        self.failure = "ended without an answer"
        self.is_written = False
        self._aborted: str | None = None
        self._wire: socket.socket | None = None
        self._lock = threading.Lock()

    def hold(self, sock: HasFileno) -> None:
        """
        Remember the connection, so that :meth:`abort` can cut it whatever it is busy with.

        A duplicate of the descriptor: while a TLS handshake runs the socket object is out of
        reach, and after "Connection: close" urllib3 has closed it while the body still arrives.

        Raises:
            AttemptAbortedError: the call was aborted.
        """
        with self._lock:
            self._check()
            self._drop()
            self._wire = socket.socket(fileno=os.dup(sock.fileno()))

    def write(self, sock: HasFileno) -> None:
        """
        Note that the request's bytes are about to be handed to *sock*.

        Raises:
            AttemptAbortedError: the call was aborted, and must not write.
        """
        if self._wire is None:  # a connection kept alive: this call did not dial
            self.hold(sock)
        with self._lock:
            self._check()
            self.is_written = True

    def abort(self, reason: str) -> None:
        """Let no more be written and end whatever the worker waits for."""
        with self._lock:
            if self._aborted is not None:
                return
            self._aborted = reason
            if self._wire is not None:
                with contextlib.suppress(OSError):  # not connected, or closed by the other end
                    self._wire.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Let go of the connection; the worker has ended."""
        with self._lock:
            self._drop()

    def verdict(self, judge: Callable[[Answer], Verdict]) -> Verdict | NotSent | Unknown:
        """Say what became of the call: a whole answer decides, else what was written."""
        if self.answer is not None:
            return judge(self.answer)
        reason = self._aborted or self.failure
        return Unknown(reason, self.http_status) if self.is_written else NotSent(reason)

    def _check(self) -> None:
        if self._aborted is not None:
            raise AttemptAbortedError(self._aborted)

    def _drop(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None


def describe(error: BaseException) -> str:
    """
    Name what first went wrong, for a log line.

    Only operating system and TLS errors are quoted: other texts may hold a URL or a number.
    """
    chain = [error]
    while cause := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(cause)
    root = chain[-1]
    text = ""
    if isinstance(root, OSError):
        text = root.strerror or (str(root) if type(root).__module__ == "builtins" else "")
    return f"{type(root).__name__}: {text}"[:REASON_CHARS_MAX].removesuffix(": ")


CURRENT: ContextVar[Attempt] = ContextVar("CURRENT")
"""The attempt that this worker thread is busy with."""
