"""`plivostatusctl backup`: a file that is whole and on disk, or the one that was there before."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_ctl_daemon import Answer, always, problem, run, serving

CONTENT = b"SQLite format 3\0" + bytes(range(256)) * 5_000


def copy(content: bytes = CONTENT, *, size: int | None = None, **more: str) -> Answer:
    """Answer with a copy, announced as the whole of it."""
    digest = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
    headers = {
        "Content-Type": "application/vnd.sqlite3",
        "X-Backup-Bytes": str(len(CONTENT) if size is None else size),
        "Repr-Digest": f"sha-256=:{digest}:",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    return Answer(200, headers=headers, raw=content)


def files(folder: Path) -> set[str]:
    """Name what is there, the socket apart."""
    return {each.name for each in folder.iterdir()} - {"api.sock"}


def test_a_backup(tmp_path: Path) -> None:
    """The copy is in the file, nobody else's to read, in place of what was there before."""
    file = tmp_path / "kept.db"
    file.write_text("an older one")
    file.chmod(0o644)
    with serving("unix", tmp_path) as daemon:
        daemon.script.append(always(copy()))
        ended = run("backup", *daemon.options, str(file))
    assert (0, f"{file}  1.2 MiB, checked\n", "") == (ended.status, ended.out, ended.err)
    assert CONTENT == file.read_bytes()
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    assert {"kept.db"} == files(tmp_path)
    assert ("POST", "/backup", b"") == (
        daemon.asked[0].method,
        daemon.asked[0].path,
        daemon.asked[0].body,
    )


def test_as_json(tmp_path: Path) -> None:
    """--json says file, size and digest."""
    with serving("unix", tmp_path) as daemon:
        daemon.script.append(always(copy()))
        ended = run("backup", *daemon.options, str(tmp_path / "kept.db"), "--json")
    assert {
        "file": str(tmp_path / "kept.db"),
        "bytes": len(CONTENT),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "spooled": 0,
    } == ended.json


def test_what_is_not_in_it(tmp_path: Path) -> None:
    """Callbacks that are in the spool alone are said not to be in the copy."""
    with serving("unix", tmp_path) as daemon:
        daemon.script.append(always(copy(X_Backup_Spooled="3")))
        ended = run("backup", *daemon.options, str(tmp_path / "kept.db"))
    assert (0, True) == (ended.status, "3 callbacks wait in the spool" in ended.err)


def test_not_over_the_store(tmp_path: Path) -> None:
    """The store itself is never replaced, whatever path leads to it."""
    store = tmp_path / "status.db"
    store.write_text("the store")
    (tmp_path / "link.db").symlink_to(store)
    status = store.stat()
    for name in ("status.db", "link.db"):
        with serving("unix", tmp_path) as daemon:
            here = f"{status.st_dev}:{status.st_ino}"
            daemon.script.append(always(copy(X_Store_File=here)))
            ended = run("backup", *daemon.options, str(tmp_path / name))
        assert (64, True) == (ended.status, "is the store itself" in ended.err)
    assert "the store" == store.read_text()


@pytest.mark.parametrize(
    ("answer", "status", "word"),
    [
        (copy(CONTENT[:-1]), 69, "cut off after"),
        (copy(CONTENT[:-1] + b"?"), 69, "cut off"),
        (copy(b""), 69, "cut off after 0 of"),
        (copy(size=5), 69, "cut off"),
        (Answer(200, raw=CONTENT), 1, "not the daemon's"),
        (Answer(200, headers={"X-Backup-Bytes": "x", "Repr-Digest": "y"}, raw=b""), 1, "not the"),
        (Answer(is_lost=True), 69, "no answer"),
        (problem(507, "A copy wants 20 MiB beside it", hint="df -h /x"), 1, "df -h /x"),
        (problem(403, "Only root may do this"), 1, "sudo plivostatusctl backup "),
    ],
)
def test_what_is_no_copy(tmp_path: Path, answer: Answer, status: int, word: str) -> None:
    """A copy that is not whole, or none at all, leaves the older file, and nothing beside it."""
    file = tmp_path / "kept.db"
    file.write_text("an older one")
    with serving("unix", tmp_path) as daemon:
        daemon.script.append(always(answer))
        ended = run("backup", *daemon.options, str(file))
    assert (status, "") == (ended.status, ended.out)
    assert word in ended.err
    assert 1 == ended.err.count("\n")
    assert "an older one" == file.read_text()
    assert {"kept.db"} == files(tmp_path)


@pytest.mark.parametrize("call", ["write", "fsync", "open"])
def test_a_disk_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """A file that cannot be written or synced is said so, and is not the daemon's fault."""
    file = tmp_path / "kept.db"
    real = getattr(os, call)

    def fail(*given: Any, **named: Any) -> Any:
        if call == "open" and ".kept.db." not in str(given[0]):
            return real(*given, **named)
        raise OSError(28, "No space left on device")

    with serving("unix", tmp_path) as daemon:
        daemon.script.append(always(copy()))
        with monkeypatch.context() as patch:
            patch.setattr(f"plivostatusd.ctl.replacing.os.{call}", fail)
            ended = run("backup", *daemon.options, str(file))
    told = f"plivostatusctl: {file} cannot be written: No space left on device\n"
    assert (1, "", told) == (ended.status, ended.out, ended.err)
    assert set() == files(tmp_path)


@pytest.mark.parametrize(
    ("words", "word"),
    [
        ([], "required"),
        (["-"], "a file's name is wanted"),
        (["{}"], "is a directory"),
        (["{}/gone/kept.db"], "there is no directory {}/gone"),
        (["{}/a", "{}/b"], "unrecognized"),
    ],
)
def test_wrong_usage(tmp_path: Path, words: list[str], word: str) -> None:
    """A place where no file can be is said before the daemon has any work."""
    with serving("unix", tmp_path) as daemon:
        ended = run("backup", *daemon.options, *(each.format(tmp_path) for each in words))
    assert (64, []) == (ended.status, daemon.asked)
    assert word.format(tmp_path) in ended.err


def test_unreachable(tmp_path: Path) -> None:
    """Without a daemon: 69, what was tried, and how to start it."""
    ended = run("backup", "--socket", str(tmp_path / "no.sock"), str(tmp_path / "kept.db"))
    assert 69 == ended.status
    assert f"tried unix:{tmp_path}/no.sock" in ended.err
    assert "systemctl start plivostatusd" in ended.err
    assert set() == files(tmp_path)
