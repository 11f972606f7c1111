"""What handlers of the local API share: guards before, problems after, one bounded body."""

from __future__ import annotations

import asyncio
import re
import socket
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from random import getrandbits
from typing import TYPE_CHECKING, Any, Final, NoReturn

from tornado.web import HTTPError, RequestHandler, stream_request_body

from plivostatusd.domain import message
from plivostatusd.domain.errors import BadSend, Refusal
from plivostatusd.host.peer import peer_of
from plivostatusd.log import get_logger
from plivostatusd.web import access
from plivostatusd.web.access import (
    Asker,
    HostRefused,
    OperatorOnly,
    OriginRefused,
    Rules,
    TokenRefused,
)
from plivostatusd.web.documents import SLICE, spell, spell_list
from plivostatusd.web.failures import Failures, TooManyFailures
from plivostatusd.web.followers import Followers
from plivostatusd.web.problems import MEDIA_TYPE, of_refusal, problem
from plivostatusd.web.server import announced_bytes

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Awaitable, Callable, Iterable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path
    from types import TracebackType

    from plivostatusd.flows.backup import Backup
    from plivostatusd.flows.evidence import Evidence
    from plivostatusd.flows.forgetting import Forgetting
    from plivostatusd.flows.front_door import FrontDoor
    from plivostatusd.flows.importing import Importing
    from plivostatusd.flows.outbox import Outbox
    from plivostatusd.flows.rebuild import Rebuild
    from plivostatusd.flows.reconcile import Reconcile
    from plivostatusd.flows.stats import Stats
    from plivostatusd.flows.token_uses import TokenUses
    from plivostatusd.store.keep import Keep
    from plivostatusd.store.reader import Reader
    from plivostatusd.store.writer import Writer
    from plivostatusd.web.in_flight import InFlight
    from plivostatusd.web.knows import Knows
    from plivostatusd.web.metrics import Metrics

log = get_logger()

BODY_BYTES_MAX: Final = 1024 * 1024
TRICKLE_BYTES_MAX: Final = 8 * BODY_BYTES_MAX
"""A body over the limit is read up to here, so that its sender hears 413 and not a reset."""
HEARTBEAT_S: Final = 15.0
_SECONDS: Final = re.compile(r"(\d{1,4}(?:\.\d{1,3})?)s?", re.ASCII)


class BodyTooLarge(Refusal):
    """More than a list of a thousand recipients can need."""

    http_status = 413
    slug = "too-large"
    title = f"The body is larger than {BODY_BYTES_MAX} bytes"


class NotFound(Refusal):
    """Nothing is here."""

    http_status = 404
    slug = "not-found"
    title = "There is no such message"


@dataclass(slots=True, kw_only=True)
class Services:
    """What the handlers work with. The rules and terms are replaced at a reload."""

    outbox: Outbox
    reconcile: Reconcile
    rebuild: Rebuild
    stats: Stats
    evidence: Evidence
    backup: Backup
    forgetting: Forgetting
    importing: Importing
    reader: Reader
    writer: Writer
    keep: Keep
    metrics: Metrics
    front_door: FrontDoor
    token_uses: TokenUses
    knows: Knows
    rules: Rules
    default_sender: str | None
    wait_s: float
    store_path: Path
    free_bytes_min: int
    now_us: Callable[[], int]
    give_way: Callable[[], Awaitable[None]]
    turn: Callable[..., AbstractAsyncContextManager[None]]
    stopping: asyncio.Event
    in_flight: InFlight
    failures: Failures
    followers: Followers = field(default_factory=Followers)
    long_answers: asyncio.Semaphore = field(default_factory=partial(asyncio.Semaphore, 1))
    heartbeat_s: float = HEARTBEAT_S


@stream_request_body
class Handler(RequestHandler):
    """A request from this machine. `asker` says who asks once `prepare` has let it through."""

    services: Services
    asker: Asker
    is_for_operators = False
    is_open_to_all = False

    def initialize(self) -> None:
        """Take the services that the application was made with."""
        self.services = self.application.settings["services"]
        self.asker = Asker(access.ANYONE)
        self.request_id = f"{getrandbits(64):016x}"  # no secret, and a call of the system less
        self._body = bytearray()
        self._body_bytes = 0
        self._is_counted = True
        self.services.in_flight.enter()

    def on_finish(self) -> None:
        """Count a request that is over."""
        if self._is_counted:
            self._is_counted = False
            self.services.in_flight.leave()

    def on_connection_close(self) -> None:
        """
        Count a request whose client went away before it was whole as over.

        One that is whole goes on, and so counts: the store must not be closed under it.
        """
        is_whole = self.request._body_future.done()  # noqa: SLF001 - Tornado says it nowhere else
        super().on_connection_close()
        if not is_whole:
            self.on_finish()

    def set_default_headers(self) -> None:
        """Say nothing about the server, and let nobody keep or frame an answer."""
        self.clear_header("Server")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")

    def prepare(self) -> Awaitable[None] | None:
        """Let a request through, or raise the `Refusal` that it gets: of a wrong token, late."""
        self.set_header("X-Request-Id", self.request_id)
        try:
            self.let_through()
        except TokenRefused as refused:
            return self._refuse_late(refused)
        except (HostRefused, OriginRefused, OperatorOnly) as refused:
            self.services.failures.count(refused)
            raise
        return None

    async def _refuse_late(self, refused: TokenRefused) -> None:
        failures = self.services.failures
        try:
            await failures.hold_back()
        except TooManyFailures as too_many:
            failures.count(too_many)
            raise
        failures.count(refused)
        raise refused

    def let_through(self) -> None:
        """Judge who asks for what, by the request's head alone. Raises a `Refusal`."""
        headers = self.request.headers
        host = headers.get("Host", "")
        access.check_origin(headers.get("Origin"), headers.get("Sec-Fetch-Site"), host)
        self.asker = self._asker(host)
        if self.is_for_operators and not self.asker.is_operator:
            raise OperatorOnly
        announced = announced_bytes(headers)
        if announced > BODY_BYTES_MAX and (announced > TRICKLE_BYTES_MAX or "Expect" in headers):
            raise BodyTooLarge

    def _asker(self, host: str) -> Asker:
        stream = getattr(self.request.connection, "stream", None)
        connection = getattr(stream, "socket", None)
        if connection is not None and connection.family == socket.AF_UNIX:
            return access.user(peer_of(connection).uid)
        self.services.rules.check_host(host)
        if self.is_open_to_all:
            return Asker(access.ANYONE)
        return self.services.rules.bearer(self.request.headers.get("Authorization", ""))

    def data_received(self, chunk: bytes) -> None:
        """Take a part of the body; past the limit it is counted and dropped."""
        self._body_bytes += len(chunk)
        if self._body_bytes <= BODY_BYTES_MAX:
            self._body += chunk
            return
        self._body.clear()
        if self._body_bytes > TRICKLE_BYTES_MAX:
            self.send_error(exc_info=(BodyTooLarge, BodyTooLarge(), None))

    @property
    def body(self) -> bytes:
        """The raw body. Raises `BodyTooLarge`."""
        if self._body_bytes > BODY_BYTES_MAX:
            raise BodyTooLarge
        return bytes(self._body)

    def fields(self) -> message.Fields:
        """
        Read the body as its sender meant it (`fields_of`).

        Raises `BadSend` and `BodyTooLarge`.
        """
        return fields_of(self.body, self.request.headers.get("Content-Type", ""))

    def finish(self, chunk: str | bytes | dict[str, Any] | None = None) -> Future[None]:
        """Answer; while the daemon stops, the connection is not kept for another request."""
        if self.services.stopping.is_set() and not self._headers_written:
            self.set_header("Connection", "close")
        return super().finish(chunk)

    def compute_etag(self) -> str | None:
        """Make none: nobody keeps an answer."""
        return None

    def reply(self, document: object, status: int = 200, media: str = "application/json") -> None:
        """Answer with JSON."""
        self._reply_with(spell(document), status, media)

    async def reply_list(
        self, name: str, documents: Iterable[object], *, status: int = 200, **rest: object
    ) -> None:
        """Answer with a list under *name*, however long, and *rest*: see `spell_list`."""
        text = await spell_list(name, documents, rest, self.services.give_way)
        self._reply_with(text, status, "application/json")

    def one_at_a_time(self, count: int) -> AbstractAsyncContextManager[None]:
        """
        Have an answer of *count* documents, from reading them on, made while no other long one is.

        They give way to callbacks as they go, and each of those under way is in memory.
        """
        return self.services.long_answers if count > SLICE else nullcontext()

    def _reply_with(self, text: str, status: int, media: str) -> None:
        self.set_status(status)
        self.set_header("Content-Type", media)
        self.finish(text)

    def query(self, *names: str) -> dict[str, str]:
        """
        Read the query's parameters, each once and only those of *names*.

        Raises `BadSend` naming every one that is not understood.
        """
        given = self.request.query_arguments
        problems = [(name[:64], "is not understood here") for name in given if name not in names]
        problems += [(name, "given twice") for name, values in given.items() if len(values) > 1]
        if problems:
            raise BadQuery(tuple(problems))
        return {name: values[0].decode("utf-8", "replace") for name, values in given.items()}

    # Tornado's hooks for what went wrong

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Log a bug of ours with its traceback, and a refusal not at all: the answer says it."""
        if value is not None and not isinstance(value, (Refusal, HTTPError)):
            log.error("request_failed", request_id=self.request_id, exc_info=(typ, value, tb))

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Answer with the status that a refusal names."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, Refusal):
            status_code = error.http_status
        super().send_error(status_code, **kwargs)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Spell what went wrong as a problem document; a bug of ours is not described."""
        self.set_header("X-Request-Id", self.request_id)
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, Refusal):
            if error.retry_after_s is not None:
                self.set_header("Retry-After", str(error.retry_after_s))
            if status_code == 401:  # noqa: PLR2004 - HTTP's Unauthorized
                self.set_header("WWW-Authenticate", "Bearer")
            document = of_refusal(error)
        elif status_code == 405:  # noqa: PLR2004 - HTTP's Method Not Allowed
            allowed = [name for name in self.SUPPORTED_METHODS if _implements(self, name)]
            self.set_header("Allow", ", ".join(allowed))
            document = problem("method", 405, f"Use {' or '.join(allowed)}")
        else:
            document = problem("http", status_code, "The request failed")
        log.info(
            "request_refused",
            request_id=self.request_id,
            status=status_code,
            kind=document["type"],
            asker=self.asker.name,
            address=None if self.asker.uid is not None else self.request.remote_ip,
        )
        self.reply(document, status_code, MEDIA_TYPE)


class BadQuery(BadSend):
    """A query with parameters that are not understood, or hold what they cannot."""

    slug = "bad-query"
    title = "The query was not understood"


def fields_of(body: bytes, content_type: str) -> message.Fields:
    """
    Read a body as its sender meant it: what begins with `{` is JSON, whatever its type says.

    Raises `BadSend`.
    """
    media_type = content_type.lower()
    if media_type.partition(";")[0].strip().endswith("json") or body.lstrip()[:1] == b"{":
        return message.fields_of_json(body)
    if media_type.startswith("multipart/"):
        raise BadSend((("body", "expected JSON or a form: curl's -d, not its -F"),))
    return message.fields_of_form(body)


def _implements(handler: RequestHandler, method: str) -> bool:
    ours = getattr(type(handler), method.lower())
    return ours is not getattr(RequestHandler, method.lower())


def seconds(query: dict[str, str], name: str, default_s: float, most_s: float) -> float:
    """Read a span such as `30s` or `0` from *query*. Raises `BadQuery`."""
    if name not in query:
        return default_s
    match = _SECONDS.fullmatch(query[name])
    if match is None or float(match[1]) > most_s:
        bad_query(name, f"expected seconds from 0 to {most_s:g}, such as 30s")
    return float(match[1])


def count(query: dict[str, str], name: str, default: int, most: int, *, least: int = 1) -> int:
    """Read a count from *query*. Raises `BadQuery`."""
    text = query.get(name, str(default))
    if not re.fullmatch(r"\d{1,6}", text, re.ASCII) or not least <= int(text) <= most:
        bad_query(name, f"expected a number from {least} to {most}")
    return int(text)


def bad_query(name: str, sentence: str) -> NoReturn:
    """Raise `BadQuery` for one parameter."""
    raise BadQuery(((name, sentence),))


class Nowhere(Handler):
    """Every path that is not served."""

    def let_through(self) -> None:
        """Let the guards speak first: whoever may not ask learns no paths."""
        super().let_through()
        raise _NoSuchPath


class _NoSuchPath(NotFound):
    title = "There is nothing at this path"
