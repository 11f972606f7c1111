from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivostatusd.plivo.answer import (
    Answer,
    judge_get,
    judge_list,
    judge_probe,
    judge_send,
    retry_after_s,
)
from plivostatusd.plivo.outcome import (
    Accepted,
    AccountRefused,
    NotSent,
    Reachable,
    Refused,
    Unknown,
)
from plivostatusd.plivo.query import ListQuery

NOW_S = 1_795_424_400.0  # 2026-11-23T09:00:00Z
UUID = "b48d95dc-e3ac-11eb-a9c2-0242ac110005"
QUERY = ListQuery(since_us=0, until_us=1)


def answer(status: int, fields: object = None, **more: str) -> Answer:
    """Make an answer from JSON or from bytes."""
    body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return Answer(status, body, more.get("retry_after"), NOW_S)


@pytest.mark.parametrize("uuids", [["uuid-1"], "uuid-1", ["uuid-1", "uuid-2"]])
def test_a_uuid_is_acceptance(uuids: object) -> None:
    """A 2xx that names a message is an acceptance of it."""
    fields = {"message_uuid": uuids, "api_id": "api-1"}
    assert Accepted("uuid-1", "api-1") == judge_send(answer(202, fields))


def test_an_api_id_is_not_needed() -> None:
    """An acceptance without api_id is one nevertheless."""
    assert Accepted("uuid-1", None) == judge_send(answer(200, {"message_uuid": ["uuid-1"]}))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b"1" * 10_000,
        {"message_uuid": []},
        {"message_uuid": [""]},
        {"message_uuid": [7]},
        {"message_uuid": ["\x00"]},
        {"message_uuid": ["x" * 101]},
        {"invalid_number": ["1"]},
        {"message_uuid": None, "invalid_number": ["1"]},
    ],
)
def test_garbage_proves_nothing(body: object) -> None:
    """A 2xx that names no message leaves open whether there is one."""
    assert Unknown("an answer that names no message", 202) == judge_send(answer(202, body))


def test_an_invalid_number_alone_is_a_refusal() -> None:
    """A 202 with no message and an invalid number is a refusal that does not repeat the number."""
    verdict = judge_send(answer(202, {"message_uuid": [], "invalid_number": ["14155552323"]}))
    assert Refused(202, "Plivo says that the number is invalid") == verdict


@pytest.mark.parametrize("status", [400, 404, 405, 406, 409, 410, 413, 415, 422, 451, 499])
def test_other_4xx_refuse_the_message(status: int) -> None:
    """A 4xx that is neither about the account nor about time refuses this message."""
    assert Refused(status, "no") == judge_send(answer(status, {"error": "no"}))


@pytest.mark.parametrize("status", [401, 402, 403])
def test_the_account_is_refused(status: int) -> None:
    """401, 402 and 403 refuse the account, for a send and for a probe."""
    verdict = AccountRefused(status, "no")
    assert verdict == judge_send(answer(status, {"error": "no"}))
    assert verdict == judge_probe(answer(status, {"error": "no"}))


@pytest.mark.parametrize(
    "status", [100, 103, 300, 302, 304, 399, 408, 500, 502, 503, 504, 599, 700]
)
def test_the_rest_is_unknown(status: int) -> None:
    """1xx, 3xx, 408 and every 5xx leave open whether Plivo took the message, whatever they say."""
    fields = {"message_uuid": ["uuid-1"], "error": "no"}
    assert Unknown(f"HTTP {status}", status) == judge_send(answer(status, fields))


@pytest.mark.parametrize(("header", "wait_s"), [("7", 7.0), (None, None), ("soon", None)])
def test_429_is_not_sent(header: str | None, wait_s: float | None) -> None:
    """429 is a call put off, with Plivo's own wait when it names one."""
    verdict = NotSent("Plivo asks to slow down (429)", wait_s, throttled=True)
    assert verdict == judge_send(Answer(429, b"too many requests", header, NOW_S))


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        (None, None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("\t120", 120.0),
        ("\x1c30", None),
        ("30\x1f", None),
        ("\x8530", None),
        ("-1", None),
        ("1e3", None),
        ("inf", None),
        ("9" * 5_000, None),
        ("٣", None),
        ("", None),
        ("Mon, 23 Nov 2026 09:00:30 GMT", 30.0),
        ("Mon, 23 Nov 2026 09:00:30 -0000", 30.0),
        ("Mon, 23 Nov 2026 08:00:00 GMT", 0.0),
        ("Mon, 99 Nov 2026 08:00:00 GMT", None),
    ],
)
def test_retry_after(header: str | None, wait_s: float | None) -> None:
    """Retry-After is whole seconds or a date; anything else is no wish at all."""
    assert wait_s == retry_after_s(header, now_s=NOW_S)


@given(st.text())
def test_retry_after_never_raises(header: str) -> None:
    """No text in Retry-After breaks the reader or gives a negative wait."""
    wait_s = retry_after_s(header, now_s=NOW_S)
    assert wait_s is None or wait_s >= 0


@given(st.integers(100, 999), st.binary())
def test_any_answer_has_a_verdict(status: int, body: bytes) -> None:
    """No bytes from the network break the judges."""
    assert judge_send(Answer(status, body)) is not None
    assert judge_probe(Answer(status, body)) is not None
    assert judge_get(Answer(status, body), UUID) is not None
    assert judge_list(Answer(status, body), QUERY) is not None


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ({"objects": []}, Reachable()),
        (b"<html>log in</html>", Unknown("HTTP 200", 200)),
        ([], Unknown("HTTP 200", 200)),
    ],
)
def test_a_probe_wants_json(body: object, verdict: object) -> None:
    """A probe is not fooled by a web page that answers 200."""
    assert verdict == judge_probe(answer(200, body))


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"error": "no\r\n\x1b[2Jway"}, "no   [2Jway"),
        ({"error": {"dst": ["bad"]}}, '{"dst": ["bad"]}'),
        ({"error": "x" * 9_000}, "x" * 500),
        ({"error": ""}, "HTTP 400 without an explanation"),
        (b"<html>", "HTTP 400 without an explanation"),
    ],
)
def test_error_texts_are_tame(body: object, error: str) -> None:
    """Plivo's error text comes through short and printable."""
    assert Refused(400, error) == judge_send(answer(400, body))


def test_no_repr_shows_the_error() -> None:
    """A refusal that lands in a log line does not take Plivo's text along."""
    assert repr(Refused(400, "14155552323")) == "Refused(http_status=400)"
    assert repr(AccountRefused(401, "secret")) == "AccountRefused(http_status=401)"
    assert repr(answer(400, {"error": "14155552323"})) == "Answer(status=400)"


def test_a_secret_is_taken_out() -> None:
    """A token that the other end repeats is gone before anything is judged."""
    assert Refused(400, "not ***") == judge_send(answer(400, {"error": "not tok"}).without("tok"))


@pytest.mark.parametrize("said", [r"not to\/\\n", r"not \u0074o/\\n", r"not to\u002F\u005cn"])
def test_a_secret_is_taken_out_however_it_is_spelt(said: str) -> None:
    """A token is gone when the other end spells its letters as JSON may."""
    given = Answer(400, b'{"error": "%s"}' % said.encode()).without("to/\\n", "another")
    assert Refused(400, "not ***") == judge_send(given)


def test_a_secret_hides_in_no_other_encoding() -> None:
    """JSON is UTF-8: what is not, and might hold a token that was not seen, says nothing."""
    given = Answer(400, json.dumps({"error": "not tok"}).encode("utf-16")).without("tok")
    assert Refused(400, "HTTP 400 without an explanation") == judge_send(given)


@pytest.mark.parametrize("api_id", ["", "a\ud800", "a\nb", "x" * 101, 1, None])
def test_an_api_id_that_cannot_be_shown(api_id: object) -> None:
    """Beside a good UUID, an api_id that is no short printable text is none."""
    given = answer(202, {"message_uuid": ["ab-12"], "api_id": api_id})
    assert Accepted("ab-12", None) == judge_send(given)
