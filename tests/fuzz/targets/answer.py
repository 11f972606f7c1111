"""
Plivo's answers: any status, any header and any bytes mean something, and never raise.

An input is a line with the status and what Retry-After says, then the body. It is judged as the
answer to each question that is ever asked.
"""

from __future__ import annotations

import json
import math
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from plivostatusd.domain import times
from plivostatusd.plivo import answer, record
from plivostatusd.plivo.answer import Answer
from plivostatusd.plivo.outcome import (
    Absent,
    Accepted,
    AccountRefused,
    Found,
    Listed,
    NotSent,
    Reachable,
    Refused,
    Unknown,
)
from plivostatusd.plivo.query import ListQuery, Page, next_page
from plivostatusd.plivo.record import MessageRecord

AUTH_ID: Final = "MA000000000000000000"
TOKEN: Final = "Zm9v/mFyYmF6cXV4Zm9v"
BASIC: Final = b64encode(f"{AUTH_ID}:{TOKEN}".encode()).decode()
UUID: Final = "83876bdb-2033-4876-bfaf-0ff8693705af"
NOW_S: Final = 1_790_000_000.0
QUERIES: Final = tuple(
    ListQuery(since_us=0, until_us=1, page=page)
    for page in (None, Page("offset", "20"), Page("cursor", "abc"))
)
WORDS: Final = (
    *b"/v1/Account/X/Message/?limit=20&offset=20 ?cursor=abc \\ud800 1e999 NaN [[[[".split(),
    *b"{} null -0 999999999 \\u0000".split(),
    UUID.encode(),
    TOKEN.encode(),
    BASIC.encode(),
    TOKEN.replace("/", "\\/").encode(),
    TOKEN.replace("Z", "\\u005A").encode(),
    b"[" * 60,
    b"]" * 60,
    b"200 ",
    b"202 ",
    b"400 ",
    b"403 ",
    b"404 ",
    b"429 30\n",
    b"429 Wed, 23 Nov 2026 09:00:00 GMT",
    b'"message_uuid": ["',
    b'"api_id": "',
    b'"error": "',
    b'"invalid_number": ["1"]',
    b'"objects": [',
    b'"meta": {"next": "',
    b'"next": null',
    b'"message_state": "',
    b'"from_number": "',
    b'"to_number": "',
    b'"message_time": "',
    b'"units": 1',
    b'"message_direction": "outbound"',
    b'"error_code": "000"',
    b'"total_amount": "0.00350"',
    b"2026-11-23 09:00:02.123456+00:00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"9999-12-31 23:59:59-23:59",
    b"0001-01-01 00:00:00+23:59",
)


@contextmanager
def opened(folder: Path) -> Iterator[Callable[[bytes], None]]:
    """Give the target."""
    del folder
    yield _check


def _check(content: bytes) -> None:
    head, _, body = content.partition(b"\n")
    status, _, retry_after = head.decode("latin-1").partition(" ")
    given = Answer(
        int(status) if status.isascii() and status.isdigit() and len(status) == 3 else 200,
        body,
        retry_after or None,
        NOW_S,
    ).without(TOKEN, BASIC)
    _check_send(given)
    _check_probe(given)
    _check_get(given)
    for query in QUERIES:
        _check_list(given, query)
    _check_link(body.decode("latin-1"))
    found = record.parse(given.body)
    if found is not None:
        _check_record(found)


def _check_send(given: Answer) -> None:
    outcome = answer.judge_send(given)
    if isinstance(outcome, Accepted):
        assert 200 <= given.status < 300
        _check_words(outcome.message_uuid)
        _check_words(outcome.api_id or "")
    elif isinstance(outcome, Refused):
        # Nothing may be called refused that Plivo may have taken, or may take at another time.
        assert given.status in {*range(200, 300), *range(400, 500)} - {401, 402, 403, 408, 429}
        assert given.status >= 400 or json.loads(given.body)["message_uuid"] == []
        _check_words(outcome.error)
    else:
        _check_common(given, outcome)


def _check_probe(given: Answer) -> None:
    outcome = answer.judge_probe(given)
    if isinstance(outcome, Reachable):
        assert given.status == 200
    else:
        _check_common(given, outcome)


def _check_get(given: Answer) -> None:
    outcome = answer.judge_get(given, UUID)
    if isinstance(outcome, Found):
        assert UUID == outcome.record.message_uuid
        _check_record(outcome.record)
    elif isinstance(outcome, Absent):
        assert given.status == 404
        assert isinstance(json.loads(given.body), dict)
    else:
        _check_common(given, outcome)


def _check_list(given: Answer, query: ListQuery) -> None:
    outcome = answer.judge_list(given, query)
    if not isinstance(outcome, Listed):
        _check_common(given, outcome)
        return
    rows = json.loads(given.body)["objects"]
    assert len(rows) == len(outcome.records) + outcome.unreadable
    for found in outcome.records:
        _check_record(found)
    if outcome.next is not None:
        assert outcome.next.is_after(query.page)
        _check_page(outcome.next)


def _check_common(given: Answer, outcome: AccountRefused | NotSent | Unknown) -> None:
    if isinstance(outcome, AccountRefused):
        assert given.status in {401, 402, 403}
        _check_words(outcome.error)
    elif isinstance(outcome, NotSent):
        assert given.status == 429
        assert outcome.throttled
        wait_s = outcome.retry_after_s
        assert wait_s is None or (wait_s >= 0 and math.isfinite(wait_s))
    else:
        assert given.status not in {401, 402, 403, 429}
        _check_words(outcome.reason)


def _check_words(text: str) -> None:
    """Say that *text* can be stored, logged and shown, and is not what was to stay hidden."""
    text.encode()
    assert text.isprintable()
    assert len(text) <= answer.ERROR_CHARS_MAX
    assert TOKEN not in text
    assert BASIC not in text


def _check_record(found: MessageRecord) -> None:
    assert re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", found.message_uuid)
    for text in (found.state, found.sender, found.recipient, found.error_code, found.amount):
        assert text is None or (text.isascii() and text.isprintable() and len(text) <= 33)
    for instant_us in (found.message_time_us, found.sent_us, found.updated_us):
        assert instant_us is None or times.parse(times.rfc3339(instant_us)) == instant_us
    assert found.units is None or 0 <= found.units < 10**5
    assert found.fact().trust == "api"
    again = record.parse(found.raw)
    assert again == found


def _check_link(link: str) -> None:
    found = next_page(link)
    if found is not None:
        _check_page(found)


def _check_page(page: Page) -> None:
    """Say that a page can be asked for."""
    parameters = ListQuery(since_us=0, until_us=1, page=page).parameters()
    assert page.value == parameters[page.name]
    assert page.value.isascii()
    assert not page.is_after(page) or page.name == "offset"
