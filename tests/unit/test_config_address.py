from __future__ import annotations

from pathlib import Path

import pytest

from plivostatusd.config import Address
from plivostatusd.config.address import address
from plivostatusd.config.problem import Unfit


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8787", Address(host="127.0.0.1", port=8787)),
        ("127.0.0.1:0", Address(host="127.0.0.1", port=0)),
        ("[::1]:8787", Address(host="::1", port=8787)),
        ("localhost:65535", Address(host="localhost", port=65535)),
        ("sms-1.example.com:80", Address(host="sms-1.example.com", port=80)),
        ("unix:/run/plivostatusd/api.sock", Address(path=Path("/run/plivostatusd/api.sock"))),
    ],
)
def test_an_address_reads_and_prints_the_same(text: str, expected: Address) -> None:
    """Every kind of address is understood, and printed as it was written."""
    assert address(text) == expected
    assert str(address(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8787",
        ":8787",
        "*:8787",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:http",
        "300.1.1.1:80",
        "127.1:80",
        "::1:8787",
        "[::1]",
        "[127.0.0.1]:80",
        "[::1:80",
        "-a.example:80",
        "a_b:80",
        "unix:",
        "unix:api.sock",
        "unix:/run/",
        "unix:/" + "x" * 107,
        "http://127.0.0.1:80",
    ],
)
def test_what_is_no_address(text: str) -> None:
    """Whatever could not be listened on as it stands is refused."""
    with pytest.raises(Unfit):
        address(text)


@pytest.mark.parametrize(
    ("text", "is_loopback"),
    [
        ("127.0.0.1:1", True),
        ("127.9.9.9:1", True),
        ("[::1]:1", True),
        ("LOCALHOST:1", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("192.0.2.1:1", False),
        ("localhost.example.com:1", False),
        ("unix:/x", False),
    ],
)
def test_loopback(text: str, is_loopback: bool) -> None:
    """Loopback is what no other machine can reach over TCP."""
    assert address(text).is_loopback is is_loopback


@pytest.mark.parametrize(
    ("one", "other", "collides"),
    [
        ("127.0.0.1:80", "127.0.0.1:80", True),
        ("127.0.0.1:80", "127.0.0.1:81", False),
        ("127.0.0.1:0", "127.0.0.1:0", False),
        ("127.0.0.1:80", "127.0.0.2:80", False),
        ("0.0.0.0:80", "127.0.0.1:80", True),
        ("0.0.0.0:80", "[::]:80", False),
        ("[::]:80", "[::1]:80", True),
        ("localhost:80", "127.0.0.1:80", True),
        ("localhost:80", "[::1]:80", True),
        ("0.0.0.0:80", "localhost:80", True),
        ("unix:/a", "unix:/a", True),
        ("unix:/a", "unix:/b", False),
        ("unix:/a", "127.0.0.1:80", False),
    ],
)
def test_collisions(one: str, other: str, collides: bool) -> None:
    """Two addresses collide when one process could not listen on both."""
    assert address(one).collides(address(other)) is collides
    assert address(other).collides(address(one)) is collides
