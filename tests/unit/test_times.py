from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivostatusd.domain import times

NINE_US = 1_795_424_400_000_000
"""2026-11-23, nine in the morning, UTC."""
FIRST_US = -62_135_596_800_000_000
LAST_US = 253_402_300_799_999_999


@pytest.mark.parametrize(
    ("instant_us", "spelling"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (NINE_US, "2026-11-23T09:00:00Z"),
        (NINE_US + 2_123_456, "2026-11-23T09:00:02.123456Z"),
        (NINE_US + 1, "2026-11-23T09:00:00.000001Z"),
        (NINE_US + 500_000, "2026-11-23T09:00:00.500000Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (FIRST_US, "0001-01-01T00:00:00Z"),
        (LAST_US, "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_spelling(instant_us: int, spelling: str) -> None:
    """An instant is spelt in UTC, without its fraction when that is zero."""
    assert spelling == times.rfc3339(instant_us)


@pytest.mark.parametrize(
    ("text", "instant_us"),
    [
        ("2026-11-23 09:00:00.000000", NINE_US),
        ("2026-11-23 09:00:00", NINE_US),
        ("2026-11-23T09:00:00Z", NINE_US),
        ("2026-11-23t09:00:00z", NINE_US),
        ("2026-11-23T10:00:00+01:00", NINE_US),
        ("2026-11-23 14:30:00.000000+05:30", NINE_US),
        ("2026-11-23 04:00:00 -0500", NINE_US),
        ("  2026-11-23 09:00:00\n", NINE_US),
        ("2026-11-23 09:00:00.5", NINE_US + 500_000),
        ("2026-11-23 09:00:00.123456789", NINE_US + 123_456),
        ("2026-11-23T09:00:00-00:00", NINE_US),
    ],
)
def test_reading(text: str, instant_us: int) -> None:
    """RFC 3339 and Plivo's own way of writing a time are read; without a zone it is UTC."""
    assert instant_us == times.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-11-23",
        "09:00:00",
        "2026-11-23 09:00",
        "2026-13-01 09:00:00",
        "2026-02-30 09:00:00",
        "2026-11-23 25:00:00",
        "2026-11-23 09:00:60",
        "2026-11-23 09:00:00.",
        "2026-11-23 09:00:00+99:00",
        "2026-11-23 09:00:00 UTC",
        "20261123T090000",
        "2026-W48-1T09:00:00",
        "٢٠٢٦-11-23 09:00:00",
        "0001-01-01 00:00:00+00:01",
        "9999-12-31 23:59:59-00:01",
        "0000-01-01 00:00:00",
    ],
)
def test_not_a_time(text: str) -> None:
    """What is neither of the two, or no instant that can be spelt, is None."""
    assert times.parse(text) is None


@given(st.integers(FIRST_US, LAST_US))
def test_there_and_back(instant_us: int) -> None:
    """What was spelt is read as the same instant."""
    assert instant_us == times.parse(times.rfc3339(instant_us))


@given(st.text() | st.from_regex(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d*)?([+-]\d\d:?\d\d)?"))
def test_any_text(text: str) -> None:
    """Any text is an instant that can be spelt, or None."""
    instant_us = times.parse(text)
    assert instant_us is None or times.rfc3339(instant_us)
