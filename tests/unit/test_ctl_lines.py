"""`reconcile` and `rebuild`: answers that come line by line, printed as they come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_ctl_daemon import Act, Answer, Ended, always, problem, run, serving

ID = "0192f0c8-0000-7000-8000-000000000001"
CHANGED = {
    "id": ID,
    "message_uuid": "uuid-1",
    "before": "queued",
    "after": "delivered",
    "result": "changed",
    "reason": None,
}
FAILED = {**CHANGED, "after": "queued", "result": "failed", "reason": "HTTP 503"}
DIFFERENCE = {"id": ID, "column": "current_status", "stored": "sent", "folded": "delivered"}


def lines(*documents: dict[str, Any]) -> Act:
    """Answer with *documents*, one a line."""
    raw = "".join(json.dumps(each) + "\n" for each in documents).encode()
    return always(Answer(200, raw=raw, headers={"Content-Type": "application/x-ndjson"}))


def reconciled(**results: int) -> dict[str, Any]:
    """Make the line that counts."""
    return {"done": True, "asked": sum(results.values()), "results": results}


def rebuilt(compared: int, different: int, written: int = 0) -> dict[str, Any]:
    """Make the line that counts."""
    return {"done": True, "compared": compared, "different": different, "written": written}


def ask(folder: Path, act: Act, *words: str) -> tuple[Ended, Any]:
    """Run a command against a daemon that answers so; its end, and what it demanded."""
    with serving("unix", folder) as daemon:
        daemon.script = [act]
        ended = run(*words, *daemon.options)
        (asked,) = daemon.asked
    return ended, (asked.method, asked.path, asked.json)


def test_reconcile(tmp_path: Path) -> None:
    """Every answer is a row, and the last line counts them."""
    act = lines(CHANGED, reconciled(changed=1))
    ended, asked = ask(tmp_path, act, "reconcile", ID)
    assert ("POST", "/reconcile", {"ids": [ID]}) == asked
    first, last = ended.out.splitlines()
    assert [ID, "queued", "delivered", "changed", "-"] == first.split()
    assert ("asked about 1: 1 changed", 0) == (last, ended.status)


def test_reconcile_everything(tmp_path: Path) -> None:
    """Without an ID everything that is open is asked about; there may be nothing."""
    ended, asked = ask(tmp_path, lines(reconciled()), "reconcile")
    assert ("POST", "/reconcile", {}) == asked
    assert (0, "asked about 0\n") == (ended.status, ended.out)


@pytest.mark.parametrize("result", ["failed", "not-found"])
def test_reconcile_in_vain(tmp_path: Path, result: str) -> None:
    """What could not be asked about is exit status 1."""
    ended, _ = ask(tmp_path, lines(FAILED, reconciled(**{result: 1})), "reconcile", ID)
    assert 1 == ended.status
    assert f"1 {result}" in ended.out


def test_rebuild(tmp_path: Path) -> None:
    """No difference is exit status 0."""
    ended, asked = ask(tmp_path, lines(rebuilt(7, 0)), "rebuild")
    assert ("POST", "/rebuild", {"write": False}) == asked
    assert (0, "7 messages compared, 0 differ\n") == (ended.status, ended.out)


def test_rebuild_differs(tmp_path: Path) -> None:
    """Each difference is a row, and exit status 1 even though it was mended."""
    act = lines(DIFFERENCE, rebuilt(1, 1, 1))
    ended, asked = ask(tmp_path, act, "rebuild", "--write", ID)
    assert ("POST", "/rebuild", {"write": True, "ids": [ID]}) == asked
    first, last = ended.out.splitlines()
    assert [ID, "current_status", "sent", "delivered"] == first.split()
    assert ("1 messages compared, 1 differ, 1 written", 1) == (last, ended.status)


def test_rebuild_of_nothing(tmp_path: Path) -> None:
    """An ID that is not there is exit status 1."""
    ended, _ = ask(tmp_path, lines({"id": "x", "missing": True}, rebuilt(0, 0)), "rebuild", "x")
    assert 1 == ended.status
    assert "no such message" in ended.out


@pytest.mark.parametrize("command", ["reconcile", "rebuild"])
def test_as_json(tmp_path: Path, command: str) -> None:
    """--json passes the daemon's lines on."""
    told = [CHANGED, reconciled(changed=1)] if command == "reconcile" else [rebuilt(7, 0)]
    ended, _ = ask(tmp_path, lines(*told), command, "--json")
    assert told == [json.loads(line) for line in ended.out.splitlines()]


@pytest.mark.parametrize("command", ["reconcile", "rebuild"])
def test_a_daemon_that_stops_on_the_way(tmp_path: Path, command: str) -> None:
    """Without its last line an answer is not whole: exit status 69, as when nobody answers."""
    ended, _ = ask(tmp_path, lines(CHANGED if command == "reconcile" else DIFFERENCE), command)
    assert 69 == ended.status
    assert "the answer was cut off" in ended.err


@pytest.mark.parametrize("command", ["reconcile", "rebuild"])
def test_a_refusal_on_the_way(tmp_path: Path, command: str) -> None:
    """A problem that is the last line is told like one that is the whole answer."""
    refusal = problem(503, "The store takes no writes").document
    ended, _ = ask(tmp_path, lines({"error": refusal}), command)
    assert 1 == ended.status
    assert "The store takes no writes" in ended.err
