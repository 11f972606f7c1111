"""`tokens`: which token is of use still."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.unit.test_ctl_daemon import Answer, always, problem, run, serving


def token(name: str | None, *, sends: bool = False, used: str | None = None) -> dict[str, Any]:
    """Make a token as the daemon tells of it."""
    return {
        "name": name,
        "fingerprint": "0123456789abcdef",
        "in_force": name is not None,
        "sends": sends,
        "last_used_at": used,
        "last_v3_at": used,
        "last_v2_at": None,
    }


TOKENS = {
    "tokens": [
        token("auth_token 1", sends=True, used="2026-11-30T09:00:02.123456Z"),
        token("auth_token 2"),
        token(None, used="2026-11-23T09:00:02Z"),
    ]
}


def test_as_a_table(tmp_path: Path) -> None:
    """Each token is a line: its place, when it verified last, and what it is for."""
    with serving("unix", tmp_path) as daemon:
        daemon.script = [always(Answer(document=TOKENS))]
        ended = run("tokens", *daemon.options)
    _, first, second, third = ended.out.splitlines()
    assert 0 == ended.status
    assert first.split("  ")[0] == "auth_token 1"
    assert "2026-11-30 09:00:02Z" in first
    assert first.endswith("sends, verifies")
    assert second.endswith("verifies (never of use yet)")
    assert third.startswith("not configured")
    assert third.endswith("dropped")


def test_as_json(tmp_path: Path) -> None:
    """With --json the daemon's answer is printed as it is."""
    with serving("unix", tmp_path) as daemon:
        daemon.script = [always(Answer(document=TOKENS))]
        assert TOKENS == run("tokens", *daemon.options, "--json").json


def test_without_rights(tmp_path: Path) -> None:
    """Without the rights for it the line to type is named."""
    with serving("unix", tmp_path) as daemon:
        daemon.script = [always(problem(403, "no"))]
        ended = run("tokens", *daemon.options)
    assert 1 == ended.status
    assert "Type: sudo plivostatusctl tokens --socket" in ended.err
