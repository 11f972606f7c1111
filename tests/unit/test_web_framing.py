"""What is ambiguous about a request's borders."""

from __future__ import annotations

import re

import pytest
from tornado.httputil import HTTPHeaders

from plivostatusd.web.framing import FIELDS_MAX, HEAD, fault

GOOD = b"POST /send HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"


def judged(head: bytes) -> str | None:
    """Judge a head, with its headers read as Tornado reads them."""
    first, _, rest = head.decode("latin-1").lstrip("\r\n").partition("\n")
    return fault(head, first.split()[2], HTTPHeaders.parse(rest))


@pytest.mark.parametrize(
    "head",
    [
        GOOD,
        b"\r\n" + GOOD,
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.0\r\nContent-Length: 3\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
    ],
)
def test_plain(head: bytes) -> None:
    """What can be read in one way only is let through."""
    assert judged(head) is None


@pytest.mark.parametrize(
    "head",
    [
        GOOD.replace(b"\r\n", b"\n"),
        GOOD.replace(b"x\r\n", b"x\n"),
        GOOD.replace(b"\r\n\r\n", b"\n\r\n"),
        GOOD.replace(b"\r\n\r\n", b"\r\n\n"),
        b"\n" + GOOD,
        GOOD.replace(b"1.1\r\n", b"1.1\r\r\n"),
    ],
)
def test_line_ends(head: bytes) -> None:
    """A line that does not end in CR LF is an error: others may see no end there, or one more."""
    assert "a line ends in something else than CR LF" == judged(head)


@pytest.mark.parametrize("more", [b"Content-Length: 3", b"Content-Length: 4", b"content-length: 3"])
def test_two_lengths(more: bytes) -> None:
    """Two lengths are an error, even when they are the same."""
    assert "Content-Length twice" == judged(GOOD.replace(b"\r\n\r\n", b"\r\n%b\r\n\r\n" % more))
    assert "Content-Length twice" == judged(GOOD.replace(b": 3", b": 3, 3"))


def test_old_version() -> None:
    """HTTP/1.0 knows no Transfer-Encoding: whoever is of that age does not see the chunks."""
    head = b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert "Transfer-Encoding in HTTP/1.0" == judged(head)


def test_hosts() -> None:
    """HTTP/1.1 has one Host, neither none nor two."""
    for other in (b"", b"Host: x\r\nHost: x\r\n", b"Host: x\r\nhost: y\r\n"):
        assert "no Host, or several" == judged(GOOD.replace(b"Host: x\r\n", other))


def with_fields(count: int) -> bytes:
    """Spell a head of so many fields."""
    return b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(count)) + b"\r\n"


def test_too_many_fields() -> None:
    """A head has a hundred fields at most, of one name or of many."""
    for field in (b"X: y\r\n", b"X-%d: y\r\n"):
        most = b"".join(field % n if b"%" in field else field for n in range(FIELDS_MAX - 2))
        assert judged(GOOD[:-2] + most + b"\r\n") is None
        assert "too many header fields" == judged(GOOD[:-2] + most + b"Y:\r\n\r\n")


@pytest.mark.parametrize(
    "data",
    [
        *(GOOD, GOOD + b"abc", GOOD + b"\r\n\r\n", GOOD + GOOD, b"\r\n" + GOOD, b"\r\n\r\n" + GOOD),
        *(
            GOOD.replace(b"\r\n", b"\n"),
            GOOD.replace(b"\r\n\r\n", b"\n\r\nx"),
            b"\n\n",
            b"\r\n\r\n",
        ),
        *(b"", b"x", b"\r\n", b"GET / HTTP/1.1\r\n", GOOD[:-1], GOOD[:-2], GOOD[:-3], b"a\r\r\n\n"),
        *(with_fields(0), with_fields(FIELDS_MAX), with_fields(FIELDS_MAX) + GOOD),
    ],
)
def test_where_a_head_ends(data: bytes) -> None:
    """A head ends where Tornado, left to itself, would have it end."""
    theirs = re.search(rb"\r?\n\r?\n", data)
    ours = re.search(HEAD, data)
    assert (theirs and theirs.end()) == (ours and ours.end())


@pytest.mark.parametrize("count", [FIELDS_MAX + 1, 2_000])
def test_where_too_many_fields_end(count: int) -> None:
    """A head of too many lines ends, to be refused, a line after the last one that it may have."""
    found = re.search(HEAD, with_fields(count))
    assert found
    assert FIELDS_MAX + 3 == found[0].count(b"\n")
    assert "too many header fields" == judged(found[0])
    assert re.search(HEAD, with_fields(count)[: found.end() - 1]) is None
