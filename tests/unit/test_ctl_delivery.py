"""A send is handed in once, whatever happens on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from plivostatusd.ctl.address import from_url
from plivostatusd.ctl.client import Client, Reply, Request
from plivostatusd.ctl.delivery import PAUSES_S, hand_in
from plivostatusd.ctl.errors import InDoubt, NotRecorded
from tests.unit.test_ctl_daemon import (
    Act,
    Answer,
    Daemon,
    always,
    free_port,
    problem,
    serving,
)

KEY = "key-of-this-test"
BODY = b'{"to": "+14155552323", "text": "hello"}'
LOST = always(Answer(is_lost=True))
TRIES = len(PAUSES_S) + 1


def hand(daemon: Daemon, pauses: list[float] | None = None) -> Reply:
    """Hand in one send; pauses are noted and not waited for."""
    client = Client([from_url(daemon.options[1])], lambda _address: "")
    request = Request("POST", "/send", body=BODY, headers={"Idempotency-Key": KEY})
    return hand_in(client, request, KEY, (pauses if pauses is not None else []).append)


def works_and_loses(daemon: Daemon) -> Act:
    """An act that records the message and loses the answer."""
    return lambda asked: Answer(is_lost=daemon.obey(asked).status == 202)


def test_a_lost_answer_is_asked_for_again(tmp_path: Path) -> None:
    """An answer lost after the commit is asked for under the same key: one message, one send."""
    with serving("tcp", tmp_path) as daemon:
        daemon.script = [works_and_loses(daemon), works_and_loses(daemon)]
        reply = hand(daemon)
    assert 202 == reply.status
    assert 1 == len(daemon.messages)
    assert [(KEY, BODY)] * 3 == [
        (asked.headers["Idempotency-Key"], asked.body) for asked in daemon.asked
    ]


@pytest.mark.parametrize("status", [409, 500, 502, 503, 429])
def test_doubt_ends_with_the_daemons_word_alone(tmp_path: Path, status: int) -> None:
    """After a lost answer, no error of a later try passes for news of the first."""
    with serving("tcp", tmp_path) as daemon:
        daemon.script = [works_and_loses(daemon), always(problem(status, "no"))]
        assert 202 == hand(daemon).status
    assert 1 == len(daemon.messages)


@pytest.mark.parametrize("status", [409, 500, 502, 504])
def test_unclear_answers_are_asked_again(tmp_path: Path, status: int) -> None:
    """An answer that leaves open what was recorded is no answer yet."""
    with serving("tcp", tmp_path) as daemon:
        daemon.script = [always(problem(status, "no"))]
        assert 202 == hand(daemon).status


def test_good_in_foreign_words_is_unclear(tmp_path: Path) -> None:
    """A 202 that is not the daemon's JSON is no news of the message."""
    with serving("tcp", tmp_path) as daemon:
        daemon.script = [always(Answer(202, raw=b'{"id": "cut o'))]
        assert 202 == hand(daemon).status
    assert 2 == len(daemon.asked)


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [(429, {"Retry-After": "7"}, "try again in 7 s"), (503, {}, "try again later")],
)
def test_not_recorded(tmp_path: Path, status: int, headers: dict[str, str], expected: str) -> None:
    """429 and 503 mean that nothing was recorded: 75, at once, with when to try again."""
    with serving("tcp", tmp_path) as daemon:
        answer = problem(status, "too much")
        answer.headers |= headers
        daemon.script = [always(answer)]
        with pytest.raises(NotRecorded, match="too much") as caught:
            hand(daemon)
    assert 75 == caught.value.exit_status
    assert expected in caught.value.line()
    assert 1 == len(daemon.asked)


def test_nobody_there() -> None:
    """A daemon that never took a connection has recorded nothing: 75, and how to start it."""
    daemon = Daemon(f"127.0.0.1:{free_port()}")
    with pytest.raises(NotRecorded, match="connection refused") as caught:
        hand(daemon)
    assert "systemctl start plivostatusd" in caught.value.line()


def test_in_doubt(tmp_path: Path) -> None:
    """When no answer ever comes it is 69, never 75, with the line that makes a repeat safe."""
    pauses: list[float] = []
    with serving("tcp", tmp_path) as daemon:
        daemon.script = [LOST] * TRIES
        with pytest.raises(InDoubt) as caught:
            hand(daemon, pauses)
        expected = f"{' '.join(daemon.options)} --idempotency-key {KEY}"
    assert 69 == caught.value.exit_status
    assert expected in caught.value.line()
    assert TRIES == len(daemon.asked)
    assert list(PAUSES_S) == pauses


def test_gone_after_a_lost_answer(tmp_path: Path) -> None:
    """A daemon that stopped under the request may have recorded it: not 75."""
    with serving("tcp", tmp_path) as daemon:
        daemon.script = [LOST]
        client = Client([from_url(daemon.options[1])], lambda _address: "")
        request = Request("POST", "/send", body=BODY, headers={"Idempotency-Key": KEY})
        with pytest.raises(InDoubt) as caught:
            hand_in(client, request, KEY, lambda _seconds: daemon.stop())
    assert 69 == caught.value.exit_status


def test_broken_daemon(tmp_path: Path) -> None:
    """A daemon that answers 500 for ever was reached, and failed: 1."""
    with serving("tcp", tmp_path) as daemon:
        daemon.script = [always(problem(500, "bug"))] * TRIES
        with pytest.raises(InDoubt, match="bug") as caught:
            hand(daemon)
    assert 1 == caught.value.exit_status


def test_the_same_way_in(tmp_path: Path) -> None:
    """A send is asked for again where it went and nowhere else: keys belong to one way in."""
    with serving("tcp", tmp_path) as first, serving("tcp", tmp_path) as second:
        addresses = [from_url(daemon.options[1]) for daemon in (first, second)]
        first.script = [LOST]
        request = Request("POST", "/send", body=BODY, headers={"Idempotency-Key": KEY})
        client = Client(addresses, lambda _address: "")
        with pytest.raises(InDoubt):
            hand_in(client, request, KEY, lambda _seconds: first.stop())
    assert [] == second.asked
