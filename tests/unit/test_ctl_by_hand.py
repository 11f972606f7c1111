"""`hold`, `release`, `cancel`, `settle`: what an operator does by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.test_ctl_daemon import always, problem, run, serving

UUID = "b795906a-8a79-11ec-9bd3-0242ac110003"


def test_hold_and_release(tmp_path: Path) -> None:
    """The outbox is held and released."""
    with serving("unix", tmp_path) as daemon:
        held = run("hold", *daemon.options)
        after_hold = daemon.held
        released = run("release", *daemon.options)
        after_release = daemon.held
    assert (True, False) == (after_hold, after_release)
    assert (0, 0) == (held.status, released.status)
    assert "held: messages stay pending until plivostatusctl release\n" == held.out
    assert "released: messages go to Plivo\n" == released.out


def test_as_json(tmp_path: Path) -> None:
    """--json prints the daemon's answer."""
    with serving("unix", tmp_path) as daemon:
        message = daemon.add_message(status="pending")
        assert {"held": True} == run("hold", *daemon.options, "--json").json
        assert {"held": False} == run("release", *daemon.options, "--json").json
        cancelled = run("cancel", *daemon.options, message["id"], "--json")
    assert message == cancelled.json


def test_cancel(tmp_path: Path) -> None:
    """A pending message is cancelled; one that is not, or is not there, is 1."""
    with serving("unix", tmp_path) as daemon:
        message = daemon.add_message(status="pending")
        ended = [run("cancel", *daemon.options, one) for one in (message["id"],) * 2 + ("x",)]
    assert [0, 1, 1] == [one.status for one in ended]
    assert f"{message['id']}  refused\n" == ended[0].out
    assert "plivostatusctl: only a pending message can be cancelled (409)\n" == ended[1].err
    assert "plivostatusctl: no such message (404)\n" == ended[2].err


@pytest.mark.parametrize(
    ("words", "status"), [(["--sent", UUID], "queued"), (["--not-sent"], "refused")]
)
def test_settle(tmp_path: Path, words: list[str], status: str) -> None:
    """A send whose outcome is unknown is settled, once."""
    with serving("unix", tmp_path) as daemon:
        message = daemon.add_message(status="unknown")
        ended = [run("settle", *daemon.options, message["id"], *words) for _ in range(2)]
    assert [0, 1] == [one.status for one in ended]
    assert f"{message['id']}  {status}\n" == ended[0].out
    assert "409" in ended[1].err


def test_settle_by_sending_again(tmp_path: Path) -> None:
    """Of a message that is sent again, the new one is shown."""
    with serving("unix", tmp_path) as daemon:
        message = daemon.add_message(status="unknown")
        ended = run("settle", "--send-again", *daemon.options, message["id"], "--json")
    assert message["id"] == ended.json["resend_of"]
    assert ("pending", True) == (ended.json["status"], ended.json["id"] != message["id"])


@pytest.mark.parametrize("words", [[], ["--sent", UUID, "--not-sent"], ["--sent"]])
def test_settle_wants_one_word(tmp_path: Path, words: list[str]) -> None:
    """No word, two words, or half a one is a wrong command line."""
    assert 64 == run("settle", "x", *words).status


@pytest.mark.parametrize(
    "words",
    [
        ("hold",),
        ("release",),
        ("cancel", "0192 x"),
        ("settle", "--sent", UUID, "0192 x"),
        ("reconcile", "0192 x"),
        ("rebuild", "--write", "0192 x"),
    ],
)
@pytest.mark.parametrize("transport", ["tcp", "unix"])
def test_without_rights(tmp_path: Path, transport: str, words: tuple[str, ...]) -> None:
    """Without the rights for it the line to type is named, with the socket that serves it."""
    with serving(transport, tmp_path) as daemon:
        daemon.script = [always(problem(403, "no"))]
        path = tmp_path / "c.conf"
        path.write_text("[api]\nlisten = 127.0.0.1:1, unix:/configured.sock\n")
        ended = run(*words, *daemon.options, "--json", "-c", str(path))
        socket = daemon.place if transport == "unix" else "/configured.sock"
    spelled = " ".join(f"'{word}'" if " " in word else word for word in words)
    line = f"Type: sudo plivostatusctl {spelled} --socket {socket}"
    assert 1 == ended.status
    assert json.loads(ended.err)["hint"].endswith(line)
