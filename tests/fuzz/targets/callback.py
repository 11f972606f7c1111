"""
The public listener, from raw bytes to a `Report` and an `Arrival`, less the sockets.

An input is a request (tests/fuzz/arrived.py). It is asked as it stands, and signed as V2 signs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from tornado.httputil import HTTPConnection, ResponseStartLine

from plivostatusd.domain import signature, times
from plivostatusd.domain.callback import Report
from plivostatusd.domain.signature import NONCE, Key, Verifier
from plivostatusd.domain.statuses import OURS
from plivostatusd.flows.ingest import Ingest
from plivostatusd.store import spooled
from plivostatusd.store.pledge import Pledge
from plivostatusd.store.receipts import SPOOLED, Arrival, Recorded
from plivostatusd.web.callbacks import CallbackServer
from plivostatusd.web.metrics import Metrics
from tests.fuzz import arrived
from tests.fuzz.arrived import Arrived

URL: Final = "https://sms.example.com"
TOKEN: Final = "a-token-for-tests"
NOW_US: Final = 1_790_000_000_000_000
BODY_BYTES_MAX: Final = 2_000
WORDS: Final = (
    *b"MessageUUID= ParentMessageUUID= Status= From= To= Sequence= Units=".split(),
    *b"TotalAmount= MCC= MNC= ErrorCode= MessageTime= QueuedTime= SentTime=".split(),
    *b"DeliveryReportTime= delivered undelivered queued refused".split(),
    *b"83876bdb-2033-4876-bfaf-0ff8693705af 2026-11-23+09%3A00%3A02.123456".split(),
    *b'+14155552323 {" ":" \\ud800 %00 %80 & = + 9999-12-31+23:59:59-23:59'.split(),
    *b"0001-01-01+00:00:00%2B23:59 1234567890".split(),
    b"content-type: application/json\n",
    b"x-plivo-signature-v3-nonce: ",
    b"GET /plivo/status?",
    b"POST /plivo/0123abcd/status",
    b"\n\n",
)


class Answers(HTTPConnection):
    """The connection's other end: remembers how it was answered."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.statuses: list[int] = []
        self._loop = loop

    def write_headers(self, start_line: object, *_: object) -> asyncio.Future[None]:
        """Take the answer's head, and its short body with it."""
        assert isinstance(start_line, ResponseStartLine)
        self.statuses.append(start_line.code)
        return self._loop.create_future()

    def finish(self) -> None:
        """Take the end of the answer."""


class Door:
    """The listener's own classes on a loop that runs for as long as an answer takes."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.kept: list[Arrival] = []
        self._loop = loop
        verifier = Verifier([Key.of("auth_token 1", TOKEN)], [URL], minimum="url-only")
        ingest = Ingest(self._keep, verifier, Metrics(), queue_max=5, now_us=lambda: NOW_US)
        self._server = CallbackServer(ingest, body_bytes_max=BODY_BYTES_MAX)

    def _keep(self, arrival: Arrival) -> Pledge[Recorded]:
        self.kept.append(arrival)
        pledge: Pledge[Recorded] = Pledge()
        pledge.set_result(SPOOLED)
        return pledge

    def ask(self, request: Arrived) -> tuple[int, Arrival | None]:
        """Give the one answer to *request*, and what was kept of it before."""
        self.kept.clear()
        answers = Answers(self._loop)
        self._loop.run_until_complete(self._play(request, answers))
        (status,) = answers.statuses
        assert len(self.kept) <= 1
        return status, self.kept[0] if self.kept else None

    async def _play(self, request: Arrived, answers: Answers) -> None:
        exchange = self._server.start_request(None, answers)
        exchange.headers_received(request.start_line, request.headers)
        exchange.data_received(request.body)
        exchange.finish()
        await asyncio.sleep(0)  # what came is judged at the turn's end


@contextmanager
def opened(folder: Path) -> Iterator[Callable[[bytes], None]]:
    """Give the target."""
    del folder
    with closing(asyncio.new_event_loop()) as loop:
        door = Door(loop)
        yield lambda content: _check(door, content)


def _check(door: Door, content: bytes) -> None:
    request = arrived.read(content)
    if request is None:
        return
    status, kept = door.ask(request)
    assert status in {200, 400, 403, 404, 405, 413}
    assert kept is None  # nobody can have signed it
    genuine = _signed(request)
    again, kept = door.ask(genuine)
    if status in {404, 405, 413} or genuine.signed.path == "/health":
        assert (status, None) == (again, kept)
    else:
        # A genuine report is answered 200 whatever it says, and only once it is kept.
        assert again == 200
        assert kept is not None
        _check_arrival(kept, genuine)


def _signed(request: Arrived) -> Arrived:
    nonce = request.headers.get("x-plivo-signature-v2-nonce", "")
    nonce = nonce if NONCE.fullmatch(nonce) else "12345678"
    string = signature.v2_string(f"{URL}{request.signed.path}", nonce)
    given = signature.sign(TOKEN.encode(), string).decode()
    return request.with_headers(x_plivo_signature_v2=given, x_plivo_signature_v2_nonce=nonce)


def _check_arrival(kept: Arrival, genuine: Arrived) -> None:
    """Say that what is kept is the request itself, and can be put into either store."""
    assert spooled.request_of(kept.raw).target == genuine.signed.target
    assert spooled.request_of(kept.raw).body == genuine.body
    assert kept.digest == genuine.signed.digest
    assert kept == spooled.unpack(spooled.pack(kept))
    assert kept.nonces
    assert kept.trust == "url-only"
    _check_report(kept.report)


def _check_report(report: Report) -> None:
    """Say that a report can be stored and shown as it is."""
    assert report.status not in OURS
    for instant_us in (report.at_us, report.sent_us, report.delivered_us):
        assert instant_us is None or times.parse(times.rfc3339(instant_us)) == instant_us
    for number in (report.sequence, report.units):
        assert number is None or 0 <= number < 10**9
    for text in (report.message_uuid, report.status, report.sender, report.recipient):
        assert text is None or (text.isascii() and text.isprintable() and 0 < len(text) <= 36)
    for text in (report.error_code, report.amount, report.mcc, report.mnc):
        assert text is None or (text.isascii() and len(text) <= 19)
