"""One question and its answer by HTTP, as plivostatusctl speaks it: bytes in, bytes out."""

from __future__ import annotations

import io
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest

from plivostatusd.ctl.address import Address, from_url
from plivostatusd.ctl.connection import Answer, Broken, connect, host, request
from tests.acceptance.certificate import Certificate

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


class Dribble(io.RawIOBase):
    """A connection on which what was sent arrives byte by byte, however much is wanted."""

    def __init__(self, sent: bytes) -> None:
        self._left = io.BytesIO(sent)

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what a reader hands in
        """Give one byte, or none at the end."""
        return self._left.readinto(buffer[:1])


def whole(sent: bytes) -> Answer:
    """Read the head of what arrives at once."""
    return Answer(io.BufferedReader(io.BytesIO(sent)))


def dribbled(sent: bytes) -> Answer:
    """Read the head of what arrives byte by byte."""
    return Answer(io.BufferedReader(Dribble(sent)))


@pytest.mark.parametrize("arriving", [whole, dribbled])
@pytest.mark.parametrize(
    ("sent", "status", "body"),
    [
        (OK + b"Content-Length: 5\r\n\r\nhello, and more", 200, b"hello"),
        (OK + b"content-length:5 \r\n\r\nhello", 200, b"hello"),
        (OK + b"Content-Length: 0\r\n\r\nmore", 200, b""),
        (OK + b"\r\nto the end", 200, b"to the end"),
        (b"HTTP/1.0 404 Not Found\r\n\r\ngone", 404, b"gone"),
        (b"HTTP/1.1 503 \r\nContent-Length: 1\r\n\r\nx", 503, b"x"),
        (b"HTTP/1.1 503\r\nContent-Length: 1\r\n\r\nx", 503, b"x"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\nx", 200, b"x"),
        (CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", 200, b"hello"),
        (
            CHUNKED + b"A ; x=y\r\n0123456789\r\n1\r\na\r\n0\r\nTrailer: x\r\n\r\n",
            200,
            b"0123456789a",
        ),
    ],
)
def test_whole_answers(
    arriving: Callable[[bytes], Answer], sent: bytes, status: int, body: bytes
) -> None:
    """An answer is read in full and no further, however its length is told."""
    answer = arriving(sent)
    assert (status, body) == (answer.status, answer.read())


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"", "closed"),
        (OK, "closed"),
        (OK[:-2], "closed"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "not HTTP"),
        (b"HTTP/2 200\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 OK\r\n\r\n", "not HTTP"),
        (OK + b" folded\r\n\r\n", "not HTTP"),
        (OK + b"Blank : x\r\n\r\n", "not HTTP"),
        (OK + b": x\r\n\r\n", "not HTTP"),
        (OK + b"Content-Length: 5\n\r\nhello", "closed"),
        (OK + b"X: " + b"y" * 70_000 + b"\r\n\r\n", "too long"),
        (OK + b"X: y\r\n" * 15_000 + b"\r\n", "too long"),
        (OK + b"Content-Length: 5\r\n\r\nhell", "closed"),
        (OK + b"Content-Length: -5\r\n\r\n", "length"),
        (OK + b"Content-Length: 0x5\r\n\r\n", "length"),
        (OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", "length"),
        (OK + b"Transfer-Encoding: gzip\r\n\r\n", "length"),
        (OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", "length"),
        (CHUNKED, "closed"),
        (CHUNKED + b"\r\n", "length"),
        (CHUNKED + b"5_0\r\nhello", "length"),
        (CHUNKED + b"5\r\nhell", "closed"),
        (CHUNKED + b"5\r\nhello\r\n", "closed"),
        (CHUNKED + b"5\r\nhello, \r\n0\r\n\r\n", "length"),
        (CHUNKED + b"5\r\nhello\r\n0\r\n", "closed"),
    ],
)
def test_no_answer(sent: bytes, why: str) -> None:
    """Whatever is not HTTP, or is not whole, is an error that says what is wrong with it."""
    with pytest.raises(Broken, match=why):
        whole(sent).read()


@pytest.mark.parametrize("arriving", [whole, dribbled])
@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (b"", []),
        (b"a\n", [b"a"]),
        (b"a\n\nbc\n", [b"a", b"", b"bc"]),
        (b"a\nhalf", [b"a", b"half"]),
    ],
)
def test_lines(arriving: Callable[[bytes], Answer], body: bytes, lines: list[bytes]) -> None:
    """A body is cut into its lines, wherever the network cut it."""
    assert lines == list(arriving(OK + b"\r\n" + body).lines())


def test_fields() -> None:
    """Fields go by any spelling of their names, and several of one name stand together."""
    answer = whole(OK + b"Retry-After: 5\r\nVary: a\r\nvary: b\r\n\r\n")
    assert ("5", "a, b") == (answer.field("retry-after"), answer.field("Vary"))
    assert ("", "x") == (answer.field("Nothing"), answer.field("Nothing", "x"))


def test_request() -> None:
    """A request is spelt with the length of its body, where it has one."""
    expected = b"POST /send HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
    assert expected == request("POST", "/send", {"Host": "x"}, b"{}")
    assert b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" == request("GET", "/", {"Host": "x"}, None)


@pytest.mark.parametrize(
    ("target", "value"),
    [("/a b", "x"), ("/a\r\nX: y", "x"), ("/", "x\r\nY: z"), ("/", "x\0"), ("/é", "x"), ("/", "é")],
)
def test_no_request(target: str, value: str) -> None:
    """Nothing that a caller hands in can become another request or another field."""
    with pytest.raises(ValueError, match=r"made of what prints|ascii"):
        request("GET", target, {"X": value}, None)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (Address(socket="/run/api.sock"), "localhost"),
        (from_url("http://127.0.0.1:8788"), "127.0.0.1:8788"),
        (from_url("http://[::1]:8788"), "[::1]:8788"),
        (from_url("https://sms.example.com"), "sms.example.com"),
        (from_url("http://sms.example.com:443"), "sms.example.com:443"),
        (from_url("http://sms.example.com"), "sms.example.com"),
    ],
)
def test_host(address: Address, expected: str) -> None:
    """The host is named as a browser would name it."""
    assert expected == host(address)


def test_a_socket_that_is_not_there(tmp_path: Path) -> None:
    """A connection that is not made is an error, and leaves no socket open."""
    with pytest.raises(FileNotFoundError):
        connect(Address(socket=str(tmp_path / "api.sock")), 1.0)


@contextmanager
def serving(context: ssl.SSLContext) -> Iterator[int]:
    """Answer one client over TLS with how it came in, for a block's length."""

    def serve() -> None:
        connected, _ = listener.accept()
        with connected, context.wrap_socket(connected, server_side=True) as secured:
            came = secured.selected_alpn_protocol() or ""
            secured.sendall(OK + b"\r\n" + came.encode())

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def test_tls(tmp_path: Path) -> None:
    """A URL of https is spoken to by TLS, and whoever holds no good certificate is refused."""
    made = Certificate.make(tmp_path, "sms.example.com")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.chain, made.key)
    context.set_alpn_protocols(["http/1.1"])
    trusting = mock.patch.dict("os.environ", SSL_CERT_FILE=str(made.authority))
    with (
        serving(context) as port,
        trusting,
        connect(from_url(f"https://localhost:{port}"), 5) as to,
    ):
        assert b"http/1.1" == Answer(to.makefile("rb")).read()


def test_no_trust(tmp_path: Path) -> None:
    """A certificate that nobody vouches for ends the connection before anything is asked."""
    made = Certificate.make(tmp_path, "sms.example.com")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.chain, made.key)
    refused: list[ssl.SSLError] = []

    def serve() -> None:
        connected, _ = listener.accept()
        with connected, pytest.raises(ssl.SSLError) as raised:
            context.wrap_socket(connected, server_side=True)
        refused.append(raised.value)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(ssl.SSLCertVerificationError):
            connect(from_url(f"https://localhost:{listener.getsockname()[1]}"), 5)
        thread.join()
    assert 1 == len(refused)
