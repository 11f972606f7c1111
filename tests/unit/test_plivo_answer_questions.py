from __future__ import annotations

import json

import pytest

from plivostatusd.plivo.answer import judge_get, judge_list
from plivostatusd.plivo.outcome import Absent, AccountRefused, Found, Listed, NotSent, Unknown
from plivostatusd.plivo.query import ListQuery, Page
from plivostatusd.plivo.record import MessageRecord, parse
from tests.unit.test_plivo_answer import QUERY, UUID, answer

ROW = {"message_uuid": UUID, "message_state": "sent"}
LINK = "/v1/Account/MA/Message/?limit=20&"


def record(row: object) -> MessageRecord:
    """Read what is known to be a record."""
    read = parse(json.dumps(row).encode())
    assert read is not None
    return read


def test_found() -> None:
    """A record of the message asked for is an answer."""
    assert Found(record(ROW)) == judge_get(answer(200, ROW), UUID)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", {}, [ROW], {"message_uuid": UUID.replace("b", "c")}, {"objects": [ROW]}],
)
def test_an_answer_about_something_else(body: object) -> None:
    """A 200 that does not tell of the message asked for says nothing of it."""
    expected = Unknown("an answer that does not tell of the message", 200)
    assert expected == judge_get(answer(200, body), UUID)


def test_absent() -> None:
    """A 404 of Plivo's own shape says that there is no such message."""
    assert Absent() == judge_get(answer(404, {"api_id": "api-1", "error": "not found"}), UUID)


@pytest.mark.parametrize("body", [b"", b"<html>404</html>", b"[]", b"{}"])
def test_a_404_of_another_shape(body: bytes) -> None:
    """A 404 that is not JSON is not Plivo's word on the message."""
    assert Unknown("HTTP 404", 404) == judge_get(answer(404, body), UUID)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (401, AccountRefused(401, "no")),
        (402, AccountRefused(402, "no")),
        (403, AccountRefused(403, "no")),
        (429, NotSent("Plivo asks to slow down (429)", 7.0, throttled=True)),
        *((code, Unknown(f"HTTP {code}", code)) for code in (100, 202, 302, 400, 408, 500, 503)),
    ],
)
def test_questions_share_the_rest(status: int, verdict: object) -> None:
    """Any other answer to a question is the account's, a pace's, or nobody's."""
    refusal = answer(status, {"error": "no", **ROW, "objects": [], "meta": {}}, retry_after="7")
    assert verdict == judge_get(refusal, UUID)
    assert verdict == judge_list(refusal, QUERY)


@pytest.mark.parametrize(
    ("meta", "following"),
    [
        ({}, None),
        ({"next": None, "limit": 20, "offset": 0, "total_count": 1}, None),
        ({"next": ""}, None),
        ({"next": f"{LINK}offset=20"}, Page("offset", "20")),
        ({"next": f"{LINK}cursor=abc"}, Page("cursor", "abc")),
    ],
)
def test_listed(meta: object, following: Page | None) -> None:
    """A list is its rows, and the page that its link names."""
    expected = Listed((record(ROW),), following)
    assert expected == judge_list(answer(200, {"objects": [ROW], "meta": meta}), QUERY)


def test_rows_that_cannot_be_read_are_counted() -> None:
    """A row that names no message is left out, and not silently."""
    rows = [ROW, {}, 7, None, {"message_uuid": "uuid-1"}]
    expected = Listed((record(ROW),), None, unreadable=4)
    assert expected == judge_list(answer(200, {"objects": rows, "meta": {}}), QUERY)


@pytest.mark.parametrize("levels", range(100, 1_200, 50))
def test_a_row_as_deep_as_can_be(levels: int) -> None:
    """A row whose nesting only just can be read does not break the judge."""
    row = b"[" * levels + b"]" * levels
    verdict = judge_list(answer(200, b'{"meta": {}, "objects": [%s]}' % row), QUERY)
    assert verdict in (Listed((), None, 1), Unknown("an answer that is no list", 200))


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"<html>", [], [ROW], ROW, {"objects": [ROW]}, {"meta": {}}),
        {"objects": None, "meta": {}},
        {"objects": {}, "meta": {}},
        {"objects": [], "meta": None},
    ],
)
def test_no_list(body: object) -> None:
    """A 200 without rows and their meta is not an empty list."""
    assert Unknown("an answer that is no list", 200) == judge_list(answer(200, body), QUERY)


@pytest.mark.parametrize(
    ("page", "link"),
    [
        (None, 7),
        (None, {"offset": 20}),
        (None, LINK),
        (None, f"{LINK}offset=0"),
        (Page("offset", "20"), f"{LINK}offset=20"),
        (Page("offset", "40"), f"{LINK}offset=20"),
        (Page("cursor", "abc"), f"{LINK}cursor=abc"),
    ],
)
def test_a_list_that_leads_nowhere(page: Page | None, link: object) -> None:
    """A link that names no page, or none further on, neither ends a list nor makes a ring."""
    query = ListQuery(since_us=0, until_us=1, page=page)
    expected = Unknown("a list that does not say how it goes on", 200)
    assert expected == judge_list(answer(200, {"objects": [], "meta": {"next": link}}), query)


def test_a_page_longer_than_asked_for() -> None:
    """A page with more rows than were asked for is not read: it would hold everything up."""
    page = {"objects": [ROW] * 21, "meta": {"next": None}}
    expected = Unknown("a page longer than was asked for", 200)
    assert expected == judge_list(answer(200, page), QUERY)
