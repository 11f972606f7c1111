"""A difference between ours and Tornado's that is not listed is named."""

from __future__ import annotations

import asyncio

import pytest

from tests.fuzz.compared import fault
from tests.fuzz.played import Played, play
from tests.fuzz.readers import Taken
from tests.fuzz.smuggling import HIDDEN, MARKER

A = Taken("GET", "/a", (), b"")
B = Taken("GET", "/b", (), b"")
CLOSE = A._replace(fields=(("connection", "x, close"),))
ODD = A._replace(target="/\xff")
REFUSED = Played([], "400", 0)


def took(*taken: Taken, end: str = "idle") -> Played:
    """Give what became of a connection all of whose requests were answered."""
    return Played([*taken], end, len(taken))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (took(A, B), took(A, B)),
        (took(A, end="body"), took(A, end="body")),
        (took(A, end="head"), took(A, end="idle")),
        (took(CLOSE, end="closed"), took(CLOSE, B)),
        (took(A, end="400"), took(A, end="closed")),
        (REFUSED, took(ODD, A)),
        (REFUSED, took(A._replace(method="PRI"))),
        (took(end="closed"), took(end="closed")),
    ],
)
def test_listed(ours: Played, theirs: Played) -> None:
    """What is listed, or no difference, is none."""
    assert fault(b"", ours, theirs) is None


@pytest.mark.parametrize(
    ("sentence", "ours", "theirs"),
    [
        ("taken otherwise than by Tornado", took(A), took(B)),
        ("taken otherwise than by Tornado", took(A, B), took(A)),
        ("taken otherwise than by Tornado", took(A), REFUSED),
        ("Tornado refuses it", took(A), took(A, end="400")),
        ("Tornado refuses it", took(end="body"), REFUSED),
        ("Tornado refuses it", took(end="head"), took(end="closed")),
        ("cut, and nowhere listed", took(end="closed"), took(A)),
        ("cut, and nowhere listed", took(A, end="closed"), took(A, B)),
        ("cut, and nowhere listed", took(A), took(A, B)),
        ("refused, and nowhere listed", REFUSED, took(A)),
        ("a request is taken and not answered", Played([A], "idle", 0), took(A)),
        ("a request is taken and not answered", took(A), Played([A], "closed", 0)),
    ],
)
def test_not_listed(sentence: str, ours: Played, theirs: Played) -> None:
    """Whatever else is different is said."""
    assert sentence == fault(b"", ours, theirs)


@pytest.mark.parametrize("name", ["ours", "tornado"])
async def test_played(name: str) -> None:
    """What a server takes over a socket is told with its answers, and how the connection ended."""
    played = await play(name, HIDDEN + MARKER + HIDDEN)
    assert ["/plivo/hidden", "/plivo/marker"] == [each.target for each in played.taken]
    assert ("closed", 2) == played[1:]
    body = HIDDEN[:-2] + b"Content-Length: 3\r\n\r\nab"
    ends = {HIDDEN: "idle", b"GET": "head", b"\r\n\r\n": "400", body: "body"}
    found = await asyncio.gather(*(play(name, data) for data in ends))
    assert [*ends.values()] == [each.end for each in found]
    assert [each.answers for each in found] == [len(each.taken) for each in found]
