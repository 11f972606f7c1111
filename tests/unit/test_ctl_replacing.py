"""Files replaced in one step: the old or the new, whole, and nothing beside it."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, NoReturn

import pytest

from plivostatusd.ctl.errors import CtlError
from plivostatusd.ctl.replacing import EVERYBODYS, replacing


def test_the_new_one(tmp_path: Path) -> None:
    """What the block wrote is there when it ended well, and who reads the old one goes on."""
    file = tmp_path / "kept"
    file.write_text("old")
    with file.open() as old:
        with replacing(file) as write:
            write(b"ne")
            write(b"w")
            assert "old" == file.read_text()
        assert "old" == old.read()
    assert "new" == file.read_text()
    assert [file] == list(tmp_path.iterdir())


@pytest.mark.parametrize("umask", [0, 0o077])
def test_modes(tmp_path: Path, umask: int) -> None:
    """The mode is what was asked for, whatever the umask."""
    before = os.umask(umask)
    try:
        for mode in (0o600, EVERYBODYS):
            with replacing(tmp_path / "kept", mode=mode):
                pass
            assert mode == stat.S_IMODE((tmp_path / "kept").stat().st_mode)
    finally:
        os.umask(before)


def replace(file: Path, error: BaseException | None = None) -> None:
    """Write something new, and fail if so told."""
    with replacing(file) as write:
        write(b"new")
        if error is not None:
            raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, ConnectionError])
def test_a_block_that_fails(tmp_path: Path, error: type[BaseException]) -> None:
    """A block that fails leaves the old one, and its error is its own."""
    file = tmp_path / "kept"
    file.write_text("old")
    with pytest.raises(error):
        replace(file, error())
    assert "old" == file.read_text()
    assert [file] == list(tmp_path.iterdir())


@pytest.mark.parametrize("call", ["open", "write", "fsync", "fchmod"])
def test_a_disk_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """What cannot be written is named, and leaves nothing."""
    file = tmp_path / "kept"

    def fail(*_: Any) -> NoReturn:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(f"plivostatusd.ctl.replacing.os.{call}", fail)
        with pytest.raises(CtlError, match=r"kept cannot be written: No space left"):
            replace(file)
    assert [] == list(tmp_path.iterdir())


def test_through_no_link(tmp_path: Path) -> None:
    """A link in the file's place is replaced, and what it leads to stays as it is."""
    (tmp_path / "else").write_text("another's")
    (tmp_path / "kept").symlink_to("else")
    replace(tmp_path / "kept")
    assert ("another's", "new") == tuple((tmp_path / n).read_text() for n in ("else", "kept"))
