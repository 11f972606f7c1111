"""What must not stand in any file: one machine's places, registries' hosts, work left over."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.meta.source import ROOT, files, text_of

# Written with a gap, so that this file does not find itself.
FORBIDDEN = [
    re.compile(word.replace("~", ""))
    for word in (
        # Places that exist on one machine only.
        r"(?<![\w.~])/ro~ot/",
        r"(?<![\w.~])/wo~rk/",
        r"(?<![\w.~])/ho~me/[a-z]",
        r"/t~mp/plan",
        # Where packages are downloaded from is each machine's own setting.
        r"(?i)py~pi\.(org|io)",
        r"(?i)python~hosted",
        r"(?i)npm~js\.",
        r"(?i)deb~\.debian\.org",
        r"--(extra-)?index~-url[ =]",
        r"--find~-links[ =]",
        # What is to be done stands among the issues.
        r"\bTO~DO\b",
        r"\bFIX~ME\b",
        r"\bXX~X\b",
        r"(?i)\bissue #?~[0-9]",
    )
]

MERGE = re.compile(r"^(<{7}|>{7}|={7})( |$)", re.MULTILINE)


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_words(path: Path) -> None:
    """No file names one machine's places, a registry's host, or work that is still to be done."""
    text = text_of(path) or ""
    for word in FORBIDDEN:
        assert [] == [found[0] for found in word.finditer(text)]
    assert not MERGE.search(text)


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_text_is_tidy(path: Path) -> None:
    """A text ends with one newline, and has neither trailing blanks nor carriage returns."""
    text = text_of(path)
    if not text or path.is_relative_to(ROOT / "tests" / "data"):
        return  # nothing to say of pictures; test data is as it came
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert not re.search(r"[ \t]$", text, re.MULTILINE)
    assert "\r" not in text
