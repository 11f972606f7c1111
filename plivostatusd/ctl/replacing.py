"""
Files that are replaced in one step: whoever reads one finds the old or the new, whole.

The new one is written beside it under a name that nobody else can have made, and nothing is left of
it when that fails.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from plivostatusd.ctl.errors import CtlError

Write = Callable[[bytes], None]

OWNERS = 0o600
EVERYBODYS = 0o644
"""To read; no umask narrows it."""


@contextmanager
def replacing(file: Path, *, mode: int = OWNERS) -> Iterator[Write]:
    """
    Give what writes into a new file, which takes *file*'s place, on disk, if the block ends well.

    Raises:
        CtlError: *file* cannot be written. An `OSError` of the block itself passes.
    """
    # The folder may be another user's, who must not have us write through a link of his.
    made = file.with_name(f".{file.name}.{os.urandom(8).hex()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with _naming(file):
        descriptor = os.open(made, flags, mode)
    try:
        yield lambda content: _write(descriptor, content, file)
        with _naming(file):
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
            made.replace(file)
            _sync(file.parent)
    except BaseException:
        with suppress(OSError):
            made.unlink()
        raise
    finally:
        os.close(descriptor)


def _write(descriptor: int, content: bytes, file: Path) -> None:
    left = memoryview(content)
    with _naming(file):
        while left:
            left = left[os.write(descriptor, left) :]


@contextmanager
def _naming(file: Path) -> Iterator[None]:
    """Name an error of the file's for what it is, before it is taken for the connection's."""
    try:
        yield
    except OSError as error:
        raise CtlError(f"{file} cannot be written: {error.strerror}") from error


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
