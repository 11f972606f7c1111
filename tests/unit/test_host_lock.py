"""plivostatusd.host.lock, against real files and a real second process."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from plivostatusd.domain.errors import StartRefused
from plivostatusd.host.lock import LOCK_NAME, DirectoryLock, DirectoryLocked

HOLDER = """
import sys
from pathlib import Path
from plivostatusd.host.lock import DirectoryLock
lock = DirectoryLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that holds the lock on `tmp_path`."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "held\n" == process.stdout.readline()
        yield process
        process.kill()


def test_the_file_says_who(tmp_path: Path) -> None:
    """The lock's file holds our pid as text, and is nobody else's to read."""
    with DirectoryLock(tmp_path):
        file = tmp_path / LOCK_NAME
        assert f"{os.getpid()}\n" == file.read_text()
        assert 0o600 == stat.S_IMODE(file.stat().st_mode)


def test_twice_is_refused(tmp_path: Path) -> None:
    """A second lock on one directory is refused, within one process too, and breaks nothing."""
    with DirectoryLock(tmp_path):
        for _ in range(2):
            with pytest.raises(DirectoryLocked) as caught:
                DirectoryLock(tmp_path)
            assert os.getpid() == caught.value.pid


def test_another_process_is_named(tmp_path: Path, holder: "subprocess.Popen[str]") -> None:
    """Who holds the lock is named by pid, in an error that ends a start."""
    with pytest.raises(DirectoryLocked) as caught:
        DirectoryLock(tmp_path)
    assert isinstance(caught.value, StartRefused)
    assert holder.pid == caught.value.pid
    assert f"process {holder.pid} holds the store in {tmp_path}" in str(caught.value)
    assert f"ps -fp {holder.pid}" in str(caught.value)


def test_death_releases(tmp_path: Path, holder: "subprocess.Popen[str]") -> None:
    """A holder that is killed leaves its file behind, and the lock is free."""
    holder.kill()
    holder.wait()
    assert (tmp_path / LOCK_NAME).exists()
    with DirectoryLock(tmp_path):
        assert f"{os.getpid()}\n" == (tmp_path / LOCK_NAME).read_text()


def test_release(tmp_path: Path) -> None:
    """A released lock can be taken again, and releasing twice does nothing."""
    lock = DirectoryLock(tmp_path)
    lock.release()
    lock.release()
    DirectoryLock(tmp_path).release()


def test_a_holder_that_has_not_written_yet(tmp_path: Path) -> None:
    """An empty or strange file under somebody's lock is refused without a pid."""
    with DirectoryLock(tmp_path):
        for text in ("", "half a thought"):
            (tmp_path / LOCK_NAME).write_text(text)
            with pytest.raises(DirectoryLocked) as caught:
                DirectoryLock(tmp_path)
            assert None is caught.value.pid
            assert "another process holds the store" in str(caught.value)


def test_a_child_does_not_inherit(tmp_path: Path) -> None:
    """A program that the holder starts does not keep the lock when the holder lets go."""
    lock = DirectoryLock(tmp_path)
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False) as child:
        lock.release()
        DirectoryLock(tmp_path).release()
        child.communicate()


def test_missing_directory(tmp_path: Path) -> None:
    """A directory that is not there ends a start, with the command that shows it."""
    with pytest.raises(StartRefused) as caught:
        DirectoryLock(tmp_path / "missing")
    assert (
        f"cannot lock the store's directory {tmp_path}/missing: No such file or directory. "
        f"Type: ls -ld {tmp_path}/missing" == str(caught.value)
    )
    assert not isinstance(caught.value, DirectoryLocked)
