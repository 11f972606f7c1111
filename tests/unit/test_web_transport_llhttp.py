"""
llhttp's own test cases, over sockets: what either transport makes of them, and where we differ.

Most of them lack the Host without which nothing of HTTP/1.1 is taken, so each is played as it
stands, and with a Host in every head that has none. Verdicts and reasons: tests/data/llhttp/.
"""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.played import Played, play

DATA = json.loads(Path(__file__).parents[1].joinpath("data", "llhttp", "cases.json").read_text())
CASES = DATA["cases"]
REASONS = DATA["why we differ from llhttp"]
FORMS = ("as it stands", "with a Host")
_WITHOUT_HOST = re.compile(rb" HTTP/1\.1\r\n(?!(?:[^\r\n]*\r?\n)*?host:)", re.IGNORECASE)

Verdict = dict[str, Any]


def request(case: dict[str, Any], form: str) -> bytes:
    """Give what is sent."""
    data: bytes = case["request"].encode("latin-1")
    if form == "as it stands":
        return data
    return _WITHOUT_HOST.sub(b" HTTP/1.1\r\nHost: example.com\r\n", data)


def expected(case: dict[str, Any], form: str, name: str) -> Verdict:
    """Give the verdict of a server; Tornado's is written down where it is another."""
    verdict = case.get(form) or case["as it stands"]
    verdict = verdict.get(name, verdict)
    return {"taken": verdict["taken"], "end": verdict["end"]}


def spelt(played: Played) -> Verdict:
    """Put what happened as the file has it."""
    taken = [[each.method, each.target, each.body.decode("latin-1")] for each in played.taken]
    return {"taken": taken, "end": played.end}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["ours", "tornado"])
async def test_verdicts(name: str, form: str) -> None:
    """Each case is taken, refused or waited for as it is written down, and each taken answered."""
    played = await asyncio.gather(*(play(name, request(case, form)) for case in CASES))
    found = {case["name"]: spelt(each) for case, each in zip(CASES, played, strict=True)}
    assert {case["name"]: expected(case, form, name) for case in CASES} == found
    assert [each.answers for each in played] == [len(each.taken) for each in played]


def test_no_laxer_than_tornado() -> None:
    """What we take, Tornado takes alike; what it refuses, we do."""
    for case in CASES:
        for form in FORMS:
            ours, theirs = (expected(case, form, name) for name in ("ours", "tornado"))
            assert ours["taken"] == theirs["taken"][: len(ours["taken"])]
            assert "400" == ours["end"] or "400" != theirs["end"]


def test_reasons() -> None:
    """Where we judge otherwise than llhttp in its strict mode a reason stands, and only there."""
    reasons = set()
    for case in CASES:
        is_taken = "400" != expected(case, "with a Host", "ours")["end"]
        assert ("why" in case) is (is_taken is not (case["llhttp"] == "takes")), case["name"]
        reasons.add(case.get("why"))
    assert {None, *REASONS} == reasons
