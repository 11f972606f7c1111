"""`explain`: an error code in words, without a daemon."""

from __future__ import annotations

import json

import pytest

from tests.unit.test_ctl_daemon import run


def test_explain() -> None:
    """A code is explained: what happened, whose fault, charged or not, what to do."""
    ended = run("explain", "420")
    assert (0, "") == (ended.status, ended.err)
    *lines, advice = ended.out.splitlines()
    assert [
        "code     420",
        "name     Message expired",
        "error    message expired in Plivo's queue",
        "fault    the sender",
        "charged  no: it was stopped within Plivo",
    ] == lines
    assert advice.startswith("advice   Send it anew; a longer message_expiry")


def test_explain_second_hand() -> None:
    """What Plivo's own pages do not say is told apart."""
    assert "source   not Plivo itself" in run("explain", "910").out


def test_explain_as_json() -> None:
    """--json prints the same as an object."""
    said = run("explain", "--json", "030").json
    assert ("30", True, "Spam detected") == (said["code"], said["known"], said["name"])


@pytest.mark.parametrize("code", ["0", "000", "00"])
def test_success(code: str) -> None:
    """Zero, however spelt, is no error."""
    assert "error    no error" in run("explain", code).out


def test_unknown() -> None:
    """A code that nobody knows says so, where to look, and is 1."""
    ended = run("explain", "31337")
    assert (1, "") == (ended.status, ended.out)
    expected = "plivostatusctl: error 31337, which this version does not know. Look it up: https://"
    assert ended.err.startswith(expected)
    assert 1 == json.loads(run("--json", "explain", "31337").err)["exit_status"]


@pytest.mark.parametrize("words", [(), ("thirty",), ("-1",), ("3.0",), ("²",), ("1" * 10,)])
def test_usage(words: tuple[str, ...]) -> None:
    """What is no code is 64."""
    ended = run("explain", *words)
    assert (64, "", 1) == (ended.status, ended.out, len(ended.err.splitlines()))
