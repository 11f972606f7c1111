"""
Asks the daemon's local API, over a Unix socket or TCP.

Tells apart what a caller must know apart: nothing was sent (`Unreachable`), something was sent and
no answer came back (`AnswerLost`), an answer came (`Reply`, whatever its status). Stays with the
first address that takes a connection: an `Idempotency-Key` is known to one listener's callers
alone, so a send that is asked for again must take the same way in.
"""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlencode

from plivostatusd.ctl import connection
from plivostatusd.ctl.address import Address
from plivostatusd.ctl.errors import AnswerLost, CtlError, Refused, Unreachable

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 30.0
START_HINT = "Start it: systemctl start plivostatusd"
GOOD = range(200, 300)
_UNAUTHORISED = 401
_LINES = "application/x-ndjson"
_REASONS = {
    errno.ENOENT: "no such file",
    errno.ECONNREFUSED: "connection refused",
    errno.EACCES: "permission denied: type sudo, or join the socket's group",
}


class Request(NamedTuple):
    """What is asked; `path` is quoted already."""

    method: str
    path: str
    query: Mapping[str, str | int] | None = None
    body: bytes | None = None
    headers: Mapping[str, str] | None = None
    timeout_s: float = ANSWER_TIMEOUT_S

    @property
    def target(self) -> str:
        """The request target: path and query."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path


class Reply(NamedTuple):
    """What came back; `document` is None unless it is a JSON object."""

    status: int
    document: dict[str, Any] | None
    retry_after: str | None = None

    @property
    def is_foreign(self) -> bool:
        """It says good, in words that are not the daemon's: cut off, or somebody else's."""
        return self.status in GOOD and self.document is None

    def checked(self, *, hint: str = "") -> dict[str, Any]:
        """
        Return the document of a good answer.

        Raises:
            Refused: the answer is no, or not the daemon's.
        """
        if self.status in GOOD and self.document is not None:
            return self.document
        raise Refused(self.status, self.document, hint=hint)


class Client:
    """Asks one question a connection, at the first of *addresses* that can be reached."""

    def __init__(self, addresses: Sequence[Address], token: Callable[[Address], str]) -> None:
        self._addresses = tuple(addresses)
        self._token = token

    @property
    def address(self) -> Address:
        """The address that is asked, once one has taken a connection; else the first."""
        return self._addresses[0]

    def ask(self, request: Request) -> Reply:
        """
        Ask once.

        Raises:
            Unreachable: no address took a connection.
            AnswerLost: the request went out, whole or in part, and no whole answer came back.
        """
        with self._asking(request) as answer:
            return _reply(answer, answer.read())

    def fetch(self, request: Request) -> tuple[int, bytes]:
        """
        Ask once for something that is no JSON: the status and what came with it.

        Raises:
            Unreachable, AnswerLost: as `ask`.
        """
        with self._asking(request) as answer:
            return answer.status, answer.read()

    @contextmanager
    def open(self, request: Request) -> Iterator[tuple[Reply, Iterator[dict[str, Any]]]]:
        """
        Ask once, and read the answer line by line: one JSON object each, for a block's length.

        An answer that is not a stream has its document in the reply, and no lines.

        Raises:
            Unreachable, AnswerLost: as `ask`.
        """
        with self._asking(request) as answer:
            if answer.field("Content-Type") == _LINES:
                yield Reply(answer.status, None), _documents(answer.lines())
            else:
                yield _reply(answer, answer.read()), iter(())

    @contextmanager
    def download(self, request: Request) -> Iterator[tuple[Reply, connection.Answer]]:
        """
        Ask once for something large, for a block's length; what is good is read from the answer.

        An `OSError` that leaves the block counts as the connection's: whoever writes a file there
        renames its own. A reply that is not good has its document, and nothing is to be read.

        Raises:
            Unreachable, AnswerLost: as `ask`.
        """
        with self._asking(request) as answer:
            is_good = answer.status in GOOD
            yield (
                Reply(answer.status, None) if is_good else _reply(answer, answer.read()),
                answer,
            )

    @contextmanager
    def _asking(self, request: Request) -> Iterator[connection.Answer]:
        with self._connect() as connected:
            sent = self._spelt(request)
            try:
                connected.settimeout(request.timeout_s)
                connected.sendall(sent)
                with connected.makefile("rb") as stream:
                    yield connection.Answer(stream)
            except OSError as error:
                raise AnswerLost(
                    f"{self.address} took the request and gave no answer: {_reason(error)}"
                ) from error

    def _spelt(self, request: Request) -> bytes:
        fields = {
            "Host": connection.host(self.address),
            "Accept": "application/json",
            "Connection": "close",
            **self._authorisation(),
            **(request.headers or {}),
        }
        target = self.address.prefix + request.target
        return connection.request(request.method, target, fields, request.body)

    def get(self, path: str, query: Mapping[str, str | int] | None = None) -> dict[str, Any]:
        """
        Read one document.

        Raises:
            Unreachable, AnswerLost: as `ask`.
            Refused: the answer is not a good one.
        """
        return self.checked(self.ask(Request("GET", path, query)))

    def checked(self, reply: Reply) -> dict[str, Any]:
        """Return a good answer's document; raise `Refused`, with what to type, for any other."""
        hint = f"{self.address} wants --token-file FILE" if reply.status == _UNAUTHORISED else ""
        return reply.checked(hint=hint)

    def _authorisation(self) -> dict[str, str]:
        token = self._token(self.address)
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _connect(self) -> socket.socket:
        failures = []
        for address in self._addresses:
            try:
                connected = connection.connect(address, CONNECT_TIMEOUT_S)
            except (OSError, UnicodeError) as error:  # UnicodeError: no such host name can be
                failures.append(f"{address} ({_reason(error)})")
            else:
                self._addresses = (address,)
                return connected
        raise Unreachable(
            f"the daemon cannot be reached; tried {', '.join(failures)}", hint=START_HINT
        )


def records(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """
    Return the list of objects called *name* in a good answer.

    Raises:
        CtlError: there is none, so whoever answered is not this daemon.
    """
    listed = document.get(name)
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise CtlError(f"the answer has no {name!r}: is this plivostatusd?")
    return listed


def _reply(answer: connection.Answer, content: bytes) -> Reply:
    return Reply(
        status=answer.status,
        document=_document(answer.field("Content-Type"), content),
        retry_after=answer.field("Retry-After") or None,
    )


def _documents(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Give the objects of a stream; half a line is an answer that was lost."""
    for line in lines:
        document = _document("application/json", line)
        if document is None:
            raise connection.Broken("the connection was closed")
        yield document


def _document(content_type: str, content: bytes) -> dict[str, Any] | None:
    if not content_type.partition(";")[0].strip().endswith(("/json", "+json")):
        return None
    try:
        document = json.loads(content)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError):
        known = _REASONS.get(error.errno or 0)
        return known or error.strerror or str(error) or type(error).__name__
    return str(error) or type(error).__name__
