"""A request's head, read by llhttp: what is in it, and what is no head."""

from __future__ import annotations

import sys

import pytest
from tornado.httputil import HTTPInputError

from plivostatusd.web.transport.head import read

LINE = b"POST /send?a=b HTTP/1.1\r\nHost: x\r\n"


def test_what_is_read() -> None:
    """The first line and the fields are what Tornado would make of them."""
    head = read(LINE + b"X-A:  b \xe9\t\r\nx-a: c\r\nEmpty:\r\nContent-Length: 3\r\n\r\n")
    assert ("POST", "/send?a=b", "HTTP/1.1") == head.start_line
    assert "b \xe9,c" == head.fields["X-a"]
    assert ["b \xe9", "c"] == head.fields.get_list("x-A")
    assert "" == head.fields["empty"]
    assert (3, True, False) == (head.length, head.has_body, head.is_chunked)
    assert not head.has_to_be_asked


@pytest.mark.parametrize("method", ["BREW", "pOsT", "M-SEARCH", "A", "X" * 50])
def test_odd_methods(method: str) -> None:
    """What llhttp knows no method by is one all the same: which are served is for the doors."""
    assert method == read(LINE.replace(b"POST", method.encode()) + b"\r\n").start_line.method


def test_upgrade() -> None:
    """Who asks for another protocol is read as if it did not."""
    head = read(LINE + b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\n")
    assert (1, False) == (head.length, head.is_last)


@pytest.mark.parametrize(
    ("version", "fields", "is_last"),
    [
        ("1.1", "", False),
        ("1.1", "Connection: keep-alive\r\n", False),
        ("1.1", "Connection: Close\r\n", True),
        ("1.1", "Connection: x, close\r\n", True),
        ("1.1", "Connection: x\r\nConnection: close\r\n", True),
        ("1.0", "", True),
        ("1.0", "Connection: Keep-Alive\r\n", False),
        ("1.0", "Connection: Keep-Alive\r\nContent-Length: 0\r\n", False),
        ("1.0", "Connection: Keep-Alive, x\r\n", True),
    ],
)
def test_last_request(version: str, fields: str, is_last: bool) -> None:
    """A connection is kept as its client says, and as its version does where it says nothing."""
    head = read(f"GET / HTTP/{version}\r\nHost: x\r\n{fields}\r\n".encode())
    assert is_last is head.is_last


@pytest.mark.parametrize(
    "line",
    [
        *(b"GET / HTTP/2.0", b"GET / HTTP/0.9", b"GET / HTTP/1.2", b"GET / HTTP/1.1 ", b"GET /"),
        *(b"GET  / HTTP/1.1", b"GET /  HTTP/1.1", b" GET / HTTP/1.1", b"GET / http/1.1", b""),
        *(b"GET /\xff HTTP/1.1", b"GET /a b HTTP/1.1", b"(X) / HTTP/1.1"),
        *(b"HTTP/1.1 200 OK", b"PRI * HTTP/2.0", b"PRI * HTTP/1.1", b"GET\t/\tHTTP/1.1"),
    ],
)
def test_no_request_line(line: bytes) -> None:
    """A first line that is none, or that others could split otherwise, is refused."""
    with pytest.raises(HTTPInputError):
        read(line + b"\r\nHost: x\r\n\r\n")


@pytest.mark.parametrize(
    "fields",
    [
        *(b"X : y", b"X", b": y", b" X: y", b"X: y\r\n z", b"X: y\r\n\tz", b"X: \x00", b"X: \x7f"),
        *(b"X: y\nZ: z", b"X: y\r", b"(X): y", b"X\xe9: y", b"Host: y", b"X: y\r\r"),
        *(b"Content-Length: +3", b"Content-Length: 3, 3", b"Content-Length:", b"Content-Length: x"),
        *(b"Content-Length: 3\r\nContent-Length: 3", b"Content-Length: 99999999999999999999"),
        *(b"Transfer-Encoding: gzip", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding:"),
        b"Transfer-Encoding: chunked\r\nContent-Length: 3",
        b"Content-Length: 3\r\nTransfer-Encoding: chunked",
        b"\r\n".join(b"X: y" for _ in range(100)),
    ],
)
def test_no_fields(fields: bytes) -> None:
    """What is malformed, ambiguous or too much is refused."""
    with pytest.raises(HTTPInputError):
        read(LINE + fields + b"\r\n\r\n")


@pytest.mark.parametrize("head", [b"\r\n\r\n", b"\r\n\r\n\r\n", b"x\r\n\r\n"])
def test_nothing(head: bytes) -> None:
    """Empty lines are no request."""
    with pytest.raises(HTTPInputError):
        read(head)


def test_huge_length() -> None:
    """A length that no memory holds is one, as long as llhttp can count so far."""
    assert 10**17 == read(LINE + b"Content-Length: 100000000000000000\r\n\r\n").length
    assert sys.maxsize == read(LINE + b"Content-Length: 9999999999999999999\r\n\r\n").length
