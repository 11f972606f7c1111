"""Addresses, tokens, moments, columns and what may reach a terminal."""

from __future__ import annotations

from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from plivostatusd.ctl.address import Address, from_listener, from_url
from plivostatusd.ctl.credential import first_token
from plivostatusd.ctl.errors import Refused, UsageError, describe
from plivostatusd.ctl.since import moment
from plivostatusd.ctl.table import Column, lines, pairs
from plivostatusd.ctl.visible import moment as visible_moment
from plivostatusd.ctl.visible import visible, width

NOW_S = 1_795_424_402.9


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8788", "http://127.0.0.1:8788"),
        ("http://127.0.0.1:8788/", "http://127.0.0.1:8788"),
        ("http://[::1]:8788", "http://[::1]:8788"),
        ("https://sms.example.com/api", "https://sms.example.com:443/api"),
        ("http://localhost", "http://localhost:80"),
    ],
)
def test_url(url: str, expected: str) -> None:
    """A URL is read as it was meant."""
    assert expected == str(from_url(url))


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8788", "ftp://x", "http://", "http://u:p@x", "http://x?y", "http://x:99999"]
)
def test_no_url(url: str) -> None:
    """What is no URL of an API is refused, with what was expected."""
    with pytest.raises(ValueError, match=r"want http|URL without|Port out of range"):
        from_url(url)


@pytest.mark.parametrize(
    ("listener", "expected"),
    [
        ("127.0.0.1:8788", Address(host="127.0.0.1", port=8788)),
        ("0.0.0.0:8788", Address(host="127.0.0.1", port=8788)),
        ("[::]:8788", Address(host="::1", port=8788)),
        ("[::1]:8788", Address(host="::1", port=8788)),
        ("unix:/run/x.sock", Address(socket="/run/x.sock")),
    ],
)
def test_listener(listener: str, expected: Address) -> None:
    """A listener is connected to where it can be reached from this machine."""
    assert expected == from_listener(listener)


def test_listener_without_port() -> None:
    """A listener that cannot be one is refused by name."""
    with pytest.raises(ValueError, match=r"api\.listen: 'here' is neither"):
        from_listener("here")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (Address(socket="/x"), True),
        (Address(host="127.0.0.5", port=1), True),
        (Address(host="localhost", port=1), True),
        (Address(host="sms.example.com", port=443, tls=True), True),
        (Address(host="sms.example.com", port=80), False),
        (Address(host="127.evil.example", port=80), False),
    ],
)
def test_keeps_secrets(address: Address, *, expected: bool) -> None:
    """Only what stays on this machine, or is encrypted, keeps a secret."""
    assert expected == address.keeps_secrets


@pytest.mark.parametrize(
    "content",
    ["secret-token-1\n", "cron secret-token-1\nother x\n", "\n# a\n\ncron\tsecret-token-1"],
)
def test_first_token(tmp_path: Path, content: str) -> None:
    """The first token of a file is found with or without a name, behind comments and blanks."""
    path = tmp_path / "token"
    path.write_text(content)
    assert "secret-token-1" == first_token(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"# nothing\n", b"a b secret-3\n", b"name s\x00ecret\n"],
    ids=["empty", "comment", "three-words", "control"],
)
def test_no_token(tmp_path: Path, content: bytes) -> None:
    """A file without a token is refused by its name, and nothing of what it holds is shown."""
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        first_token(path)
    assert str(path) in caught.value.detail
    assert "ecret" not in caught.value.detail


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30s", "2026-11-23T08:59:32Z"),
        ("2h", "2026-11-23T07:00:02Z"),
        ("today", "2026-11-23T00:00:00Z"),
        ("yesterday", "2026-11-22T00:00:00Z"),
        ("7d ago", "2026-11-16T09:00:02Z"),
        ("1w", "2026-11-16T09:00:02Z"),
        ("2026-11-23T09:00:02Z", "2026-11-23T09:00:02Z"),
        ("2026-11-23T09:00:02.5+01:00", "2026-11-23T08:00:02.500000Z"),
        ("2026-11-23 09:00", "2026-11-23T09:00:00Z"),
        ("2026-11-23", "2026-11-23T00:00:00Z"),
    ],
)
def test_moment(text: str, expected: str) -> None:
    """A moment is told in UTC, however it was said."""
    assert expected == moment(text, now_s=lambda: NOW_S)


@pytest.mark.parametrize(
    "text", ["", "soon", "2x", "-2h", "999999999w", "2026-13-01", "0001-01-01T00:00:00+14:00"]
)
def test_no_moment(text: str) -> None:
    """What is no moment is refused, whatever is wrong with it."""
    with pytest.raises(ArgumentTypeError, match="is no moment; want"):
        moment(text, now_s=lambda: NOW_S)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "-"),
        ("", "-"),
        (True, "yes"),
        (0, "0"),
        ("Grüße 🙂", "Grüße 🙂"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("c1 \x9b \x7f", "c1 \\x9b \\x7f"),
        ("\u202egnp.exe\u200b\u2028", "\\u202egnp.exe\\u200b\\u2028"),
        ("\ud800", "\\ud800"),
    ],
)
def test_visible(value: object, expected: str) -> None:
    """Nothing that moves a cursor or turns the writing around reaches a terminal."""
    assert expected == visible(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-11-23T09:00:02Z", "2026-11-23 09:00:02Z"),
        ("2026-11-23T09:00:02.123456Z", "2026-11-23 09:00:02Z"),
        (None, "-"),
        ("later\x1b", "later\\x1b"),
        ("2026-11-23T09:00:02+01:00", "2026-11-23T09:00:02+01:00"),
    ],
)
def test_visible_moment(value: object, expected: str) -> None:
    """A table shows instants in UTC to the second, and what is none as it is."""
    assert expected == visible_moment(value)


def test_width() -> None:
    """A wide character takes two columns, a combining one none."""
    assert [5, 4, 1] == [width("hello"), width("日本"), width("e\u0301")]


def test_table() -> None:
    """Columns are as wide as their widest cell, and no line ends in blanks."""
    columns = (Column("name"), Column("n", right=True), Column("tag"))
    expected = ["name     n  tag", "日本     1  -", "abcdef  20  x"]
    assert expected == list(lines(columns, [["日本", "1", "-"], ["abcdef", "20", "x"]]))


def test_table_in_colour() -> None:
    """Colour leaves the columns where they are."""
    columns = (Column("status"), Column("id"))
    actual = list(lines(columns, [["failed", "1"], ["sent", "2"]], colour=True))
    expected = ["\x1b[1mstatus  id\x1b[0m", "\x1b[31mfailed\x1b[0m  1", "sent    2"]
    assert expected == actual


def test_pairs() -> None:
    """Names are padded to the widest."""
    assert ["id      1", "status  sent"] == list(pairs([("id", "1"), ("status", "sent")]))


def test_problem_in_one_line() -> None:
    """A problem document becomes one line that names every field that is wrong."""
    document = {
        "title": "The message was not accepted",
        "detail": "2 problems",
        "problems": [
            {"field": "to", "problem": "no number"},
            {"field": "text", "problem": "missing"},
        ],
    }
    expected = "2 problems; to: no number; text: missing (400)"
    assert expected == describe(400, document)


def test_plivos_refusal_in_one_line() -> None:
    """What Plivo said stands in the line."""
    document = {"title": "Refused", "plivo_status": 400, "plivo_error": "bad dst", "id": "0192"}
    assert "Refused; plivo_status 400; plivo_error bad dst; id 0192 (422)" == describe(
        422, document
    )


def test_refusal_as_json_is_the_daemons_own() -> None:
    """With --json the daemon's problem is handed on whole, with the exit status beside it."""
    error = Refused(404, {"type": "urn:x", "title": "Not found", "status": 404, "extra": 1})
    document = error.document()
    assert ("urn:x", "Not found", 404, 1, 1) == tuple(
        document[name] for name in ("type", "title", "status", "extra", "exit_status")
    )
