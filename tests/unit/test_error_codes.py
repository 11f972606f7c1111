from __future__ import annotations

import json
from pathlib import Path

import pytest

from plivostatusd.domain import error_codes
from plivostatusd.domain.statuses import known_error

TABLE = json.loads((Path(__file__).parents[1] / "data" / "error-codes.json").read_text())
OUTBOUND = [row["code"] for row in TABLE["codes"] if row["direction"] == "outbound"]


@pytest.mark.parametrize("code", OUTBOUND)
def test_codes_have_words(code: str) -> None:
    """Every code for an outgoing message is explained, but for the one that is no error."""
    assert (known_error(code) is None) == (code not in error_codes.MEANINGS)


def test_no_code_is_made_up() -> None:
    """No code is explained that is not in the table."""
    assert set(error_codes.MEANINGS) <= set(OUTBOUND)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (None, None),
        ("420", "message expired in Plivo's queue"),
        ("31337", "error 31337, which this version does not know"),
    ],
)
def test_meaning(code: str | None, words: str | None) -> None:
    """A code is explained, and one that is not in the table says so."""
    assert words == error_codes.meaning(code)
