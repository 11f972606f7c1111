"""`reconcile`: Plivo is asked now, and each answer is printed as it comes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_ctl_daemon import Act, Answer, always, problem, run, serving

ID = "0192f0c8-0000-7000-8000-000000000001"
OTHER = "0192f0c8-0000-7000-8000-000000000002"
CHANGED = {
    "id": ID,
    "message_uuid": "u",
    "before": "queued",
    "after": "delivered",
    "result": "changed",
    "reason": None,
}
FAILED = {**CHANGED, "id": OTHER, "after": "queued", "result": "failed", "reason": "HTTP 500"}
LOST = {"id": "x", "result": "not-found"}


def done(**results: int) -> dict[str, Any]:
    """Make the last line."""
    named = {name.replace("_", "-"): count for name, count in results.items()}
    return {"done": True, "asked": sum(results.values()), "results": named}


def lines(*documents: dict[str, Any], tail: bytes = b"", announce: int = 0) -> Act:
    """Answer with lines, then *tail*; *announce* more bytes than there are cuts the answer."""
    raw = b"".join(json.dumps(each).encode() + b"\n" for each in documents) + tail
    headers = {"Content-Type": "application/x-ndjson", "Content-Length": str(len(raw) + announce)}
    return always(Answer(200, None, headers, raw=raw))


def test_by_id(tmp_path: Path) -> None:
    """The ids are asked about, and each answer is a row; the last line counts."""
    with serving("unix", tmp_path) as daemon:
        daemon.script = [lines(CHANGED, done(changed=1))]
        ended = run("reconcile", *daemon.options, ID)
        (asked,) = daemon.asked
    assert ("POST", "/reconcile", {"ids": [ID]}) == (asked.method, asked.path, asked.json)
    assert (0, "") == (ended.status, ended.err)
    row, last = ended.out.splitlines()
    assert [ID, "queued", "delivered", "changed", "-"] == row.split()
    assert "asked about 1: 1 changed" == last


def test_everything(tmp_path: Path) -> None:
    """Without ids everything is asked about; nothing to ask is good, too."""
    with serving("unix", tmp_path) as daemon:
        daemon.script = [lines(done())]
        ended = run("reconcile", *daemon.options)
        assert {} == daemon.asked[0].json
    assert (0, "asked about 0\n") == (ended.status, ended.out)


@pytest.mark.parametrize(
    ("document", "last"), [(FAILED, done(failed=1)), (LOST, done(not_found=1))]
)
def test_not_all_good(tmp_path: Path, document: dict[str, Any], last: dict[str, Any]) -> None:
    """What could not be asked, or is not there, makes the exit status 1; the row says why."""
    with serving("unix", tmp_path) as daemon:
        daemon.script = [lines(CHANGED, document, last)]
        ended = run("reconcile", *daemon.options, ID, OTHER)
    assert 1 == ended.status
    assert str(document.get("reason") or document["result"]) in ended.out.splitlines()[1]


def test_as_json(tmp_path: Path) -> None:
    """With --json the daemon's own lines are printed, the last one too."""
    documents: list[dict[str, Any]] = [CHANGED, LOST, done(changed=1, not_found=1)]
    with serving("unix", tmp_path) as daemon:
        daemon.script = [lines(*documents)]
        ended = run("reconcile", *daemon.options, "--json", ID, "x")
    assert documents == [json.loads(line) for line in ended.out.splitlines()]


@pytest.mark.parametrize(
    ("tail", "announce"), [(b"", 0), (b"", 99), (b'{"id": "0192', 0), (b'{"id": "0192', 99)]
)
def test_cut_off(tmp_path: Path, tail: bytes, announce: int) -> None:
    """An answer without its last line, cut within a line or between two, was lost: exit 69."""
    with serving("unix", tmp_path) as daemon:
        daemon.script = [lines(CHANGED, tail=tail, announce=announce)]
        ended = run("reconcile", *daemon.options, ID)
    assert 69 == ended.status
    assert [ID] == [row.split()[0] for row in ended.out.splitlines()]
    assert ended.err


def test_no_answer_at_all(tmp_path: Path) -> None:
    """A connection that is cut before the answer is one that was lost, too."""
    with serving("unix", tmp_path) as daemon:
        daemon.script = [always(Answer(is_lost=True))]
        ended = run("reconcile", *daemon.options)
    assert (69, "") == (ended.status, ended.out)


def test_refused_on_the_way(tmp_path: Path) -> None:
    """A refusal in the middle is told as any, after what was answered before it: exit 1."""
    error = {"title": "The store", "status": 503, "detail": "no space", "hint": "df -h"}
    with serving("unix", tmp_path) as daemon:
        daemon.script = [lines(CHANGED, {"error": error})]
        ended = run("reconcile", *daemon.options, ID)
    assert 1 == ended.status
    assert ID in ended.out
    assert "plivostatusctl: no space (503). df -h\n" == ended.err


def test_refused_at_once(tmp_path: Path) -> None:
    """A demand that is not understood is told as any refusal."""
    with serving("unix", tmp_path) as daemon:
        daemon.script = [always(problem(400, "expected ids"))]
        ended = run("reconcile", *daemon.options, "x" * 65)
    assert (1, "plivostatusctl: expected ids (400)\n") == (ended.status, ended.err)


@pytest.mark.parametrize("ids", [[], [ID], [ID, "0192 x"]])
@pytest.mark.parametrize("transport", ["tcp", "unix"])
def test_without_rights(tmp_path: Path, transport: str, ids: list[str]) -> None:
    """Without the rights for it the line to type is named, with the ids and the right socket."""
    with serving(transport, tmp_path) as daemon:
        daemon.script = [always(problem(403, "no"))]
        path = tmp_path / "c.conf"
        path.write_text("[api]\nlisten = 127.0.0.1:1, unix:/configured.sock\n")
        ended = run("reconcile", *daemon.options, "--json", "-c", str(path), *ids)
        socket = daemon.place if transport == "unix" else "/configured.sock"
    words = "".join(f" '{each}'" if " " in each else f" {each}" for each in ids)
    line = f"Type: sudo plivostatusctl reconcile{words} --socket {socket}"
    assert 1 == ended.status
    assert json.loads(ended.err)["hint"].endswith(line)


def test_nobody_there(tmp_path: Path) -> None:
    """A daemon that cannot be reached is 69."""
    ended = run("reconcile", "--socket", str(tmp_path / "nobody.sock"))
    assert 69 == ended.status


def test_what_strangers_wrote(tmp_path: Path) -> None:
    """What a terminal would obey is made visible."""
    told = {**FAILED, "reason": "HTTP \x1b[31m500"}
    with serving("unix", tmp_path) as daemon:
        daemon.script = [lines(told, done(failed=1))]
        ended = run("reconcile", *daemon.options, OTHER)
    assert "\x1b" not in ended.out
