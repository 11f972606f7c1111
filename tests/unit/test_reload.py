"""plivostatusd.reload, as systemd runs it, beside a process that answers or does not."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from plivostatusd import reload
from plivostatusd.host import reload_note
from plivostatusd.host.reload_note import ReloadNote

DAEMON = """
import os, signal, sys
from pathlib import Path
from plivostatusd.host.reload_note import ReloadNote
def hear(*_):
    if sys.argv[2] == "gone":
        os._exit(0)
    if sys.argv[2] != "deaf":
        note = ReloadNote(os.getpid(), 1, sys.argv[2] == "taken", ["changed: send.from"])
        note.write(Path(sys.argv[1]))
signal.signal(signal.SIGHUP, hear)
print(flush=True)
while True:
    signal.pause()
"""


@contextmanager
def daemon(folder: Path, manner: str) -> Iterator[int]:
    """Run a process that answers SIGHUP in its *manner*."""
    command = [sys.executable, "-c", DAEMON, str(folder), manner]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield process.pid
        finally:
            process.send_signal(signal.SIGKILL)


@pytest.mark.parametrize(("manner", "status"), [("taken", 0), ("refused", 1)])
def test_the_answer(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    manner: str,
    status: int,
) -> None:
    """It returns what the daemon made of it, and says what the daemon says."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", f"{tmp_path}:/elsewhere")
    ReloadNote(1, 1, taken=True, sentences=["of an earlier process"]).write(tmp_path)
    with daemon(tmp_path, manner) as pid:
        assert status == reload.main([str(pid)])
    assert "reload: changed: send.from\n" == capsys.readouterr().out


@pytest.mark.parametrize(("manner", "word"), [("deaf", "does not answer"), ("gone", "is gone")])
def test_no_answer(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    manner: str,
    word: str,
) -> None:
    """A daemon that says nothing, or ends, is a failure with a sentence, after a bounded time."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(reload, "WAIT_S_MAX", 0.5 if manner == "deaf" else 20.0)
    with daemon(tmp_path, manner) as pid:
        if manner == "gone":
            os.kill(pid, signal.SIGHUP)
            os.waitpid(pid, 0)
        assert 1 == reload.main([str(pid)])
    assert word in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["1", "2"], ["self"]], ids=str)
def test_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """Typed by hand, it says what to type."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/x")
    assert 64 == reload.main(arguments)
    assert "systemctl reload plivostatusd" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "[]", "{}", json.dumps({"pid": 1})])
def test_a_note_that_cannot_be_read(tmp_path: Path, content: str) -> None:
    """A file that is no note of ours is none."""
    (tmp_path / reload_note.NAME).write_text(content)
    assert reload_note.read(tmp_path) is None


def test_note(tmp_path: Path) -> None:
    """What is written is read again, and nothing else is left beside it."""
    note = ReloadNote(7, 2, taken=False, sentences=["[send] wait: is no duration", "refused"])
    note.write(tmp_path)
    assert note == reload_note.read(tmp_path)
    assert [reload_note.NAME] == [each.name for each in tmp_path.iterdir()]
