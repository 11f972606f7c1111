"""
The public listener: what Plivo calls. Routes, answers, and nothing that decides.

Refusals are short and never say which check failed; the log does.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final

from plivostatusd.domain import identity
from plivostatusd.domain.errors import Refusal
from plivostatusd.domain.signature import Signed
from plivostatusd.host.turn import Turn
from plivostatusd.log import get_logger
from plivostatusd.web.exchange import Exchange, ExchangeServer

if TYPE_CHECKING:
    from plivostatusd.flows.front_door import FrontDoor
    from plivostatusd.flows.ingest import Ingest
    from plivostatusd.store.pledge import Pledge
    from plivostatusd.store.receipts import Recorded

log = get_logger()

BARE_PATH: Final = "/plivo/status"
_REF_PATH: Final = re.compile(r"/plivo/([^/]+)/status")
_METHODS: Final = ("GET", "POST")
_WORDS: Final = {
    400: "bad request\n",
    403: "forbidden\n",
    404: "not found\n",
    405: "method not allowed\n",
    500: "error\n",
    503: "try again later\n",
}


class CallbackServer(ExchangeServer):
    """
    Hands each callback to the ingest flow, and answers once its pledge is told.

    First all are read that a turn of the event loop brings, then all are judged.
    """

    def __init__(
        self, ingest: Ingest, *, body_bytes_max: int, front_door: FrontDoor | None = None
    ) -> None:
        super().__init__(body_bytes_max=body_bytes_max)
        self._ingest = ingest
        self._front_door = front_door
        self._came = Turn(self._receive)

    def handle(self, exchange: Exchange) -> None:
        """Route a whole request."""
        if exchange.path == "/health":
            _health(exchange)
            return
        if self._is_probe(exchange):
            return
        is_ours, ref = _route(exchange.path)
        if not is_ours:
            exchange.answer(404, _WORDS[404])
            self._ingest.misdirected(_request_of(exchange))
        elif exchange.method not in _METHODS:
            exchange.answer(405, _WORDS[405], (("Allow", ", ".join(_METHODS)),))
        else:
            self._came.add((exchange, ref))

    def too_large(self, exchange: Exchange, size: int) -> None:
        """A report may be lost for good here, so it is counted and logged."""
        if _route(exchange.path)[0]:
            self._ingest.too_large(size)
        super().too_large(exchange, size)

    def _is_probe(self, exchange: Exchange) -> bool:
        """Answer our own probe as a callback would be answered; False for any other request."""
        door = self._front_door
        if door is None or not door.is_out:
            return False
        request = _request_of(exchange)
        if not door.recognise(request):
            return False
        status = door.arrived(request)
        exchange.answer(status, _WORDS.get(status, "ok\n"))
        return True

    def _receive(self, came: list[tuple[Exchange, str | None]]) -> None:
        for exchange, ref in came:
            self._receive_one(exchange, ref)

    def _receive_one(self, exchange: Exchange, ref: str | None) -> None:
        try:
            pledge = self._ingest.receive(_request_of(exchange), ref)
        except Refusal as refusal:
            exchange.answer(refusal.http_status, _WORDS[refusal.http_status])
        except Exception:
            log.exception("callback_failed")
            exchange.answer(500, _WORDS[500])
        else:
            pledge.add_done_callback(partial(_answer, exchange))


def _request_of(exchange: Exchange) -> Signed:
    fields = exchange.fields
    return Signed(exchange.method, exchange.path, exchange.query, fields, exchange.body)


def _route(path: str) -> tuple[bool, str | None]:
    """Say whether Plivo may call *path*, and the ref in it."""
    if path == BARE_PATH:
        return True, None
    match = _REF_PATH.fullmatch(path)
    if match and identity.is_ref(match[1]):
        return True, match[1]
    return False, None


def _health(exchange: Exchange) -> None:
    if exchange.method in {"GET", "HEAD"}:
        exchange.answer(200, '{"status":"ok"}', (("Content-Type", "application/json"),))
    else:
        exchange.answer(405, _WORDS[405], (("Allow", "GET, HEAD"),))


def _answer(exchange: Exchange, told: Pledge[Recorded]) -> None:
    error = told.exception()
    if error is None:
        exchange.answer(200, "ok\n")
    elif isinstance(error, Refusal):
        exchange.answer(error.http_status, _WORDS[error.http_status])
    else:
        log.error("callback_failed", exc_info=error)
        exchange.answer(500, _WORDS[500])
