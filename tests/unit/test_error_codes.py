from __future__ import annotations

import json
from pathlib import Path

import pytest

from plivostatusd.domain import error_codes
from plivostatusd.domain.error_codes import CODES, SECOND_HAND

TABLE = json.loads((Path(__file__).parents[1] / "data" / "error-codes.json").read_text())
ROWS = {row["code"]: row for row in TABLE["codes"]}
FAULTS = {"the sender", "the recipient", "the carrier", "Plivo", "the account's owner"}


def test_every_code_is_explained() -> None:
    """The codes that are explained are those of the table, and none is made up."""
    assert set(ROWS) == set(CODES)


@pytest.mark.parametrize("code", CODES)
def test_names(code: str) -> None:
    """A code bears Plivo's name for it."""
    said = ROWS[code]["name"].removesuffix(" (MMS)").casefold()
    assert said == CODES[code].name.casefold()


@pytest.mark.parametrize("code", CODES)
def test_whose_fault(code: str) -> None:
    """Each says whose fault it is, but for success and the code that says that nobody knows."""
    expected = {"000": {"nobody"}, "1000": {"unknown"}}.get(code, FAULTS)
    assert CODES[code].fault in expected


@pytest.mark.parametrize("code", sorted(set(CODES) - {"000", "2403"}))
def test_how_it_ends(code: str) -> None:
    """A code that always fails its message is told from one that may be charged."""
    says = ROWS[code]["terminal_state"] or ""
    ends = "failed" if says.partition(" ")[0] == "failed" else None
    assert ends == CODES[code].ends


def test_second_hand() -> None:
    """What does not come from Plivo's own pages is marked as such."""
    official = {code for code, row in ROWS.items() if row["confidence"].startswith("official")}
    assert set(ROWS) - official == SECOND_HAND


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


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        ("30", "undelivered", "yes"),
        ("30", "failed", "no"),
        ("420", None, "no"),
        ("000", None, "yes"),
        ("31337", "failed", "no"),
        ("30", None, "yes when undelivered"),
        ("30", "sent", "yes when undelivered"),
        ("31337", None, "yes when undelivered"),
    ],
)
def test_charged(code: str, status: str | None, words: str) -> None:
    """Failed is not charged and undelivered is, whatever the code; else the code may tell."""
    said = error_codes.charged(code, status)
    assert words == said.partition(":")[0].partition(" (")[0]


def test_explained_without_knowing() -> None:
    """Of a code that is not in the table all that is said is where to look."""
    said = error_codes.explained("31337", "undelivered")
    assert (False, None, "unknown") == (said["known"], said["name"], said["fault"])
    assert error_codes.WHERE_TO_LOOK in said["advice"]
