"""Where a body ends, however it comes."""

from __future__ import annotations

import pytest
from tornado.httputil import HTTPInputError

from plivostatusd.web.transport.body import Chunked, Fixed

CHUNKS = b"3\r\nabc\r\n0005\r\ndefgh\r\n0\r\n\r\n"


def pieces(data: bytes, size: int) -> list[bytes]:
    """Cut into pieces."""
    return [data[start : start + size] for start in range(0, len(data), size)]


def taken(body: Fixed | Chunked, parts: list[bytes]) -> tuple[bytes, bytes]:
    """Have a body taken from what comes in parts; give it, and what is left behind it."""
    whole, left = b"", b""
    for part in parts:
        if body.is_whole:
            left += part
        else:
            found, left = body.take(left + part)
            whole += found
    return whole, left


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 100])
def test_plain(size: int) -> None:
    """A body is whole at its end, and what follows is left alone."""
    for body, data in ((Chunked(), CHUNKS), (Fixed(8), b"abcdefgh")):
        assert (b"abcdefgh", b"GET /") == taken(body, pieces(data + b"GET /", size))
        assert body.is_whole


def test_empty() -> None:
    """A length of nothing is whole at once; chunks have to say so."""
    assert Fixed(0).is_whole
    chunks = Chunked()
    assert not chunks.is_whole
    assert (b"", b"x") == taken(chunks, [b"0\r\n\r\nx"])
    assert chunks.is_whole


@pytest.mark.parametrize("cut", range(len(CHUNKS)))
def test_not_whole(cut: int) -> None:
    """A byte less than all of it is not all of it."""
    chunks = Chunked()
    taken(chunks, [CHUNKS[:cut]])
    assert not chunks.is_whole


@pytest.mark.parametrize(
    "data",
    [
        *(b"\r\n", b"g\r\n", b"+3\r\n", b"-3\r\n", b"0x3\r\n", b"3 \r\n", b" 3\r\n", b"3;x\r\n"),
        *(
            b"3\r\nabcd\r\n",
            b"3\r\nabc\n",
            b"3\r\nabc0\r\n",
            b"0\r\nX: y\r\n",
            b"0\r\n\n",
            b"3\n" * 40,
        ),
        *(
            b"0" * 70 + b"3\r\n",
            b"f" * 17 + b"\r\n",
            b"8000000000000000\r\n",
            b"3_0\r\n",
            b"\xb3\r\n",
        ),
    ],
)
@pytest.mark.parametrize("size", [1, 1_000])
def test_malformed(data: bytes, size: int) -> None:
    """Extensions, trailers and whatever is no size are refused as soon as they are seen."""
    with pytest.raises(HTTPInputError):
        taken(Chunked(), pieces(data, size))
