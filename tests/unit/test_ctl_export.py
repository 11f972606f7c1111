"""`plivostatusctl export`: every message, a line each, or an end that says that it was cut off."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_ctl_daemon import Answer, always, problem, run, serving

MESSAGES: list[dict[str, Any]] = [
    {"id": f"id-{n}", "text": "a\u00e4\u2028\n", "error": None, "created_at": "x", "events": [{}]}
    for n in range(3)
]
DONE = {"done": True, "exported": 3}


def lines(*documents: object) -> Answer:
    """Answer line by line."""
    raw = "".join(f"{json.dumps(each, ensure_ascii=False)}\n" for each in documents).encode()
    return Answer(200, headers={"Content-Type": "application/x-ndjson"}, raw=raw)


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_every_message(tmp_path: Path, more: list[str]) -> None:
    """Each message is one line of ASCII, and nothing else is written."""
    with serving("tcp", tmp_path) as daemon:
        daemon.script.append(always(lines(*MESSAGES, DONE)))
        ended = run("export", *daemon.options, "--since", "2026-11-23", "--until", "2h", *more)
    assert (0, "") == (ended.status, ended.err)
    assert ended.out.isascii()
    assert MESSAGES == [json.loads(line) for line in ended.out.splitlines()]
    (asked,) = daemon.asked
    assert ("GET", "/export", "2026-11-23T00:00:00Z") == (
        asked.method,
        asked.path,
        asked.query["since"],
    )


@pytest.mark.parametrize(
    ("answer", "status", "word"),
    [
        (lines(*MESSAGES), 69, "cut off"),
        (lines(*MESSAGES[:1], {"error": {"status": 503, "detail": "no store"}}), 1, "no store"),
        (problem(503, "64 programs follow the events already"), 1, "64 programs"),
        (problem(401, "A bearer token is needed"), 1, "--token-file FILE"),
        (Answer(200, raw=b"<html>"), 69, "cut off"),
    ],
)
def test_what_is_not_all(tmp_path: Path, answer: Answer, status: int, word: str) -> None:
    """An export that is not whole never ends with 0; what came before stays written."""
    with serving("tcp", tmp_path) as daemon:
        daemon.script.append(always(answer))
        ended = run("export", *daemon.options)
    assert status == ended.status
    assert word in ended.err
    assert 1 == ended.err.count("\n")
