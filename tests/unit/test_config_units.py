from __future__ import annotations

from typing import Any

import pytest

from plivostatusd.config import kinds
from plivostatusd.config.kinds import Kind
from plivostatusd.config.problem import Unfit
from plivostatusd.config.units import duration_s, size_bytes


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("30s", 30),
        ("7m", 420),
        ("24h", 86_400),
        ("30d", 2_592_000),
        ("1.5h", 5_400),
        ("30 s", 30),
        ("0", 0),
        ("0s", 0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    """A duration is a number and a unit; only zero needs none."""
    assert duration_s(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [("16KiB", 16_384), ("2MiB", 2_097_152), ("64kB", 64_000), ("1GB", 10**9), ("5B", 5), ("0", 0)],
)
def test_sizes(text: str, size: int) -> None:
    """A size is counted in 1024s with an i in its unit, in 1000s without."""
    assert size_bytes(text) == size


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("10", "has no unit"),
        ("10min", "has a unit that is not known here (known: ms, s, m, h, d)"),
        ("10S", "has a unit that is not known here (known: ms, s, m, h, d)"),
        ("-5s", "is not a duration"),
        ("five", "is not a duration"),
        ("1h30m", "is not a duration"),
        ("1e3s", "is not a duration"),
        ("٣s", "is not a duration"),
        ("9" * 5000 + "s", "is not a duration"),
    ],
)
def test_what_is_no_duration(text: str, what: str) -> None:
    """What a duration lacks is said in words."""
    with pytest.raises(Unfit) as caught:
        duration_s(text)
    assert caught.value.what == what


@pytest.mark.parametrize("text", ["16", "16K", "16kb", "16 kib", "KiB", "-1B"])
def test_what_is_no_size(text: str) -> None:
    """A size whose unit could mean two things is refused."""
    with pytest.raises(Unfit):
        size_bytes(text)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (kinds.duration("1s", "1h"), "1h", 3600.0),
        (kinds.duration("1s", "1h", zero="is off"), "0", 0.0),
        (kinds.whole("1", "10"), "10", 10),
        (kinds.whole("1", "10", zero="is off"), "0", 0),
        (kinds.decimal("0.1", "10"), "0.5", 0.5),
        (kinds.choice("url-only", "full"), "full", "full"),
        (kinds.HOSTS, "LocalHost , [::1]", ("localhost", "[::1]")),
        (kinds.SENDER, "14155551212", "+14155551212"),
        (kinds.SENDER, "+14155551212", "+14155551212"),
        (kinds.SENDER, "74564", "74564"),
        (kinds.SENDER, "ACMEalerts", "ACMEalerts"),
        (kinds.ACCOUNT, "SA" + "0Z" * 9, "SA" + "0Z" * 9),
    ],
)
def test_what_a_kind_makes_of_a_text(kind: Kind[Any], text: str, value: object) -> None:
    """A converter returns the finished value."""
    assert kind.convert(text) == value


@pytest.mark.parametrize(
    ("kind", "text", "what"),
    [
        (kinds.duration("1s", "1h"), "500ms", "is too small"),
        (kinds.duration("1s", "1h"), "2h", "is too large"),
        (kinds.duration("1s", "1h"), "0", "is too small"),
        (kinds.whole("1", "10"), "1.5", "is not a whole number"),
        (kinds.whole("1", "10"), "+5", "is not a whole number"),
        (kinds.decimal("0.1", "10"), "nan", "is not a number"),
        (kinds.decimal("0.1", "10"), "inf", "is not a number"),
        (kinds.choice("masked", "full"), "mask", "is none of them; did you mean 'masked'?"),
        (kinds.choice("masked", "full"), "Full", "is none of them; did you mean 'full'?"),
        (kinds.PATH, "var/x", "does not begin with a slash"),
        (kinds.SENDER, "ACME alerts", "is none of these"),
        (kinds.SENDER, "TwelveLetter", "is none of these"),
        (kinds.ACCOUNT, "XX" + "0" * 18, "has 20 characters and is no account id"),
        (kinds.ACCOUNT, "MA" + "a" * 18, "has 20 characters and is no account id"),
        (kinds.SECRET, "two words", "has a blank or a character outside ASCII"),
    ],
)
def test_what_a_kind_refuses(kind: Kind[Any], text: str, what: str) -> None:
    """A converter says what ails a text, in words that fit behind it."""
    with pytest.raises(Unfit) as caught:
        kind.convert(text)
    assert caught.value.what == what


@pytest.mark.parametrize(
    "text", ["localhost:8788", "http://localhost", "::1", "*", "a..b", "1.2.3"]
)
def test_a_host_stands_alone(text: str) -> None:
    """A port, a scheme or a wildcard among `hosts` is refused."""
    with pytest.raises(Unfit):
        kinds.HOSTS.convert(text)


def test_every_bad_entry_of_a_list_is_told() -> None:
    """A list with three faults gives three faults, each with its entry."""
    with pytest.raises(Unfit) as caught:
        kinds.HOSTS.convert("a, a:1,, A")
    found = [(part.value, part.what) for part in caught.value.parts]
    assert found == [
        ("a:1", "is not a host alone, without scheme and port"),
        ("", "has nothing before or after a comma"),
        ("A", "is named twice"),
    ]
