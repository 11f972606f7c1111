"""
Small disks of their own for tests that fill, freeze or cut them: a tmpfs, or ext4 in a file.

Mounting takes root and Linux. Where that is missing these tests fail and say so: left out silently,
they would let the promise about full disks rest on nothing.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

KINDS: Final = ("tmpfs", "ext4")
EXT4_SHUTDOWN: Final = 0x8004587D
"""_IOR('X', 125, __u32) in the kernel's fs/ext4/ext4.h: stop at once."""

WITHOUT_LOG: Final = 2
"""EXT4_GOING_FLAGS_NOLOGFLUSH: not even the journal is written, as when the power fails."""


@contextmanager
def mounted(kind: str, place: Path, *, mebibytes: int) -> Iterator[Path]:
    """Mount an empty disk in the folder *place*, and give where it is."""
    place.mkdir()
    where = place / "disk"
    where.mkdir()
    if kind == "ext4":
        image = place / "image"
        with image.open("wb") as file:
            file.truncate(mebibytes * 1024 * 1024)
        _run("mkfs.ext4", "-q", "-m", "0", str(image))
    mount(kind, where, mebibytes)
    where.chmod(0o700)  # a tmpfs begins open to everybody
    try:
        yield where
    finally:
        _run("umount", "--lazy", str(where))  # a test that failed may hold files open


def mount(kind: str, where: Path, mebibytes: int = 1) -> None:
    """Mount the disk that belongs at *where*."""
    if kind == "tmpfs":
        _run("mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(where))
    else:
        options = "loop,errors=remount-ro"
        _run("mount", "-o", options, str(where.parent / "image"), str(where))


def make_read_only(where: Path) -> None:
    """Let nothing be written any more, as the kernel does after an error."""
    _run("mount", "-o", "remount,ro", str(where))


def break_down(where: Path) -> None:
    """Have the kernel find an error on the ext4 at *where*: it makes it read-only by itself."""
    found = subprocess.run(
        ["findmnt", "-no", "SOURCE", str(where)], capture_output=True, text=True, check=True
    )
    device = Path(found.stdout.strip()).name
    Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("a test")


def fill(where: Path) -> Path:
    """Leave no byte free, in large pieces and small; return the file that takes the room."""
    filler = where / "filler"
    with filler.open("wb", buffering=0) as file:
        for piece in (65_536, 4096, 512, 1):
            _write_until_full(file.fileno(), bytes(piece))
    return filler


def cut_power(where: Path) -> None:
    """Let the ext4 at *where* forget what is not on its disk, then come back as after a restart."""
    descriptor = os.open(where, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, EXT4_SHUTDOWN, WITHOUT_LOG.to_bytes(4, "little"))
    finally:
        os.close(descriptor)


def restart(where: Path) -> None:
    """Mount the ext4 at *where* anew; its journal is played."""
    _run("umount", str(where))
    mount("ext4", where)


def _write_until_full(descriptor: int, piece: bytes) -> None:
    while True:
        try:
            os.write(descriptor, piece)
            os.fsync(descriptor)
        except OSError:
            return


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.fail(f"This test needs the program {command[0]} (util-linux, e2fsprogs)")
    if done.returncode:
        said = done.stderr.strip() or f"exit {done.returncode}"
        pytest.fail(f"This test mounts a small disk, which takes root: {' '.join(command)}: {said}")
