from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import pytest

from plivostatusd.plivo.answer import Answer
from plivostatusd.plivo.attempt import Attempt, AttemptAbortedError, describe
from plivostatusd.plivo.outcome import NotSent, Unknown


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a connection: the attempt's and the server's."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(5)
        yield ours, theirs


@pytest.fixture
def attempt() -> Iterator[Attempt]:
    """An attempt that has done nothing yet."""
    made = Attempt(lambda: 0.0)
    yield made
    made.release()


def judge(answer: Answer) -> int:
    """Be easy to recognise."""
    return answer.status


def test_aborted_before_the_first_byte(
    attempt: Attempt, pair: tuple[socket.socket, socket.socket]
) -> None:
    """An attempt aborted before its first byte can never write it, and was not sent."""
    attempt.hold(pair[0])
    attempt.abort("too late")
    with pytest.raises(AttemptAbortedError):
        attempt.write(pair[0])
    assert NotSent("too late") == attempt.verdict(judge)


def test_aborted_after_the_first_byte(
    attempt: Attempt, pair: tuple[socket.socket, socket.socket]
) -> None:
    """An attempt aborted after its first byte is cut at once, and its outcome unknown."""
    attempt.write(pair[0])
    attempt.http_status = 202
    attempt.abort("too late")
    assert pair[1].recv(1) == b""
    with pytest.raises(AttemptAbortedError):
        attempt.write(pair[0])
    assert Unknown("too late", 202) == attempt.verdict(judge)


def test_an_abort_reaches_a_socket_that_was_closed(
    attempt: Attempt, pair: tuple[socket.socket, socket.socket]
) -> None:
    """urllib3 closing its socket object while the body arrives does not save it from an abort."""
    attempt.write(pair[0])
    reader = pair[0].makefile("rb")
    pair[0].close()
    attempt.abort("too late")
    assert reader.read() == b""
    reader.close()


def test_a_whole_answer_beats_an_abort(
    attempt: Attempt, pair: tuple[socket.socket, socket.socket]
) -> None:
    """An abort that comes when the answer is there changes nothing."""
    attempt.write(pair[0])
    attempt.answer = Answer(202, b"")
    attempt.abort("too late")
    assert attempt.verdict(judge) == 202


def test_released_sockets_are_left_alone(
    attempt: Attempt, pair: tuple[socket.socket, socket.socket]
) -> None:
    """A connection that the attempt has let go of is not cut by a late abort."""
    attempt.write(pair[0])
    attempt.release()
    attempt.abort("too late")
    pair[0].sendall(b"x")
    assert pair[1].recv(1) == b"x"


def chained() -> Exception:
    """Wrap a system error as requests does."""
    try:
        try:
            raise ConnectionRefusedError(111, "Connection refused")
        except OSError as error:
            raise RuntimeError("https://user:password@proxy/") from error
    except RuntimeError as error:
        return error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (chained(), "ConnectionRefusedError: Connection refused"),
        (ValueError("+14155552323"), "ValueError"),
        (TimeoutError("timed out"), "TimeoutError: timed out"),
        (ssl.SSLError(1, "certificate verify failed"), "SSLError: certificate verify failed"),
        (OSError("Tunnel connection failed: 407"), "OSError: Tunnel connection failed: 407"),
        (OSError(5, "x" * 500), ("OSError: " + "x" * 500)[:200]),
    ],
)
def test_reasons_name_the_root_and_no_more(error: Exception, text: str) -> None:
    """A reason is the system's own word for what went wrong, and quotes nobody else."""
    assert text == describe(error)
