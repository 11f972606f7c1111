"""Callbacks made beforehand: genuine, each a new event, and the same for every server."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from bench import prepared
from bench.prepared import PUBLIC_URL, STATUSES, Stock, fact_of, of_new_messages, of_sent_messages
from plivostatusd.domain.errors import BadSignature
from plivostatusd.domain.signature import Key, Signed, Verdict, Verifier, parameters
from plivostatusd.simulator.options import AUTH_TOKEN

NONCE = re.compile(rb"(?i)x-plivo-signature-v[23]-nonce: (\S+)")
SENT = [(f"{number:032x}", f"uuid-{number}") for number in range(4)]


def test_each_is_a_new_event() -> None:
    """No nonce comes twice, and each callback of the bare path is another message's."""
    made = list(of_new_messages(50, random.Random(1)))
    nonces = [nonce for request in made for nonce in NONCE.findall(request)]
    assert 100 == len(nonces) == len(set(nonces))
    assert 50 == len({fact_of(request)[0] for request in made})


def test_three_of_each_message_that_was_sent() -> None:
    """Blocks of messages are told of side by side: queued of each, then sent, then delivered."""
    made = list(of_sent_messages(SENT, random.Random(1), in_flight=2))
    expected = [
        (SENT[number][1], status)
        for block in ((0, 1), (2, 3))
        for status in STATUSES
        for number in block
    ]
    assert expected == [fact_of(request) for request in made]
    paths = {request.split(b" ", 2)[1].decode() for request in made}
    assert {f"/plivo/{ref}/status" for ref, _ in SENT} == paths


def test_a_seed_makes_a_run_repeatable() -> None:
    """The same seed makes the same messages."""
    first, again = ([*map(fact_of, of_new_messages(5, random.Random(7)))] for _ in range(2))
    assert first == again


def test_a_stock_is_the_same_for_all() -> None:
    """Each server takes the same callbacks in the same order, however they are portioned."""
    stock = Stock(random.Random(1))
    ours = stock.take("ours", 3) + stock.take("ours", 4)
    theirs = stock.take("theirs", 6)
    assert ours[:6] == theirs
    assert 7 == len(set(ours))


def judged(request: bytes) -> Verdict:
    """Say what the daemon's own verification makes of the bytes of a request."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode("ascii").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    method, path, _ = first.split(" ")
    assert len(body) == int(headers["content-length"])
    signed = Signed(method, path, None, headers, body)
    verifier = Verifier([Key.of("a token", AUTH_TOKEN)], [PUBLIC_URL], minimum="full")
    return verifier.verify(signed, parameters(signed)[0])


def test_what_is_played_is_genuine() -> None:
    """The daemon trusts each of them in full, on the bare path and on refs'."""
    source = random.Random(1)
    made = [*of_new_messages(2, source), *of_sent_messages(SENT[:1], source)]
    assert ["full"] * 5 == [judged(request).trust for request in made]


def test_a_forgery_is_one() -> None:
    """What every server that verifies is to refuse is signed, by somebody without the token."""
    assert b"X-Plivo-Signature-V3: " in prepared.forged()
    with pytest.raises(BadSignature):
        judged(prepared.forged())


def test_the_load_tools_file(tmp_path: Path) -> None:
    """In front of each request stands how many bytes it has."""
    made = list(of_new_messages(2, random.Random(1)))
    prepared.write(made, tmp_path / "requests")
    content = (tmp_path / "requests").read_bytes()
    for request in made:
        length, _, content = content.partition(b"\n")
        assert (request, int(length)) == (content[: int(length)], len(request))
        content = content[int(length) :]
    assert b"" == content
