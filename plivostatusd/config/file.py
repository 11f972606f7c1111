"""
Reading one file whole, with the mode that it had while it was read.

The only place in this package that touches the disk. Promises that what cannot be read raises
`Unfit`, with a sentence that says why, or `Forbidden` where this user may not look; and that a
device or an endless pipe is not read to its end.
"""

from __future__ import annotations

import grp
import os
import stat
from pathlib import Path
from typing import NamedTuple

from plivostatusd.config.problem import Unfit

BYTES_MAX = 1 << 20
"""No file of ours comes near a mebibyte; one that does is a mistake."""

_OTHERS = stat.S_IROTH | stat.S_IWOTH


class Missing(Unfit):
    """There is no such file."""


class Forbidden(Unfit):
    """The file, or its folder, is closed to the user that runs this."""


class Content(NamedTuple):
    """A file's bytes and permission bits."""

    data: bytes
    mode: int

    @property
    def is_read_by_others(self) -> bool:
        """Others may read it. Group bits say nothing: Debian 13 shows credentials as 0440."""
        return bool(self.mode & stat.S_IROTH)

    @property
    def is_open_to_others(self) -> bool:
        """Others may read or write it."""
        return bool(self.mode & _OTHERS)


def read(path: Path) -> Content:
    """Return the file's content, or raise `Missing`, `Forbidden` or another `Unfit`."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            data = file.read(BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        raise _renamed(error, path) from error
    if len(data) > BYTES_MAX:
        raise Unfit("is larger than 1 MiB")
    return Content(data, stat.S_IMODE(status.st_mode))


def _opens_to_us(path: Path) -> str:
    """Give what root types to let this process's group read the file."""
    try:
        group = grp.getgrgid(os.getegid()).gr_name
    except KeyError:
        group = str(os.getegid())
    return f"chgrp {group} {path} && chmod g+r {path}"


def _renamed(error: OSError | ValueError, path: Path) -> Unfit:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return Missing("does not exist")
    if isinstance(error, PermissionError):
        return Forbidden("may not be read by this user", command=_opens_to_us(path))
    if isinstance(error, IsADirectoryError):
        return Unfit("is a directory")
    reason = getattr(error, "strerror", None) or "its name is not valid"
    return Unfit(f"cannot be read: {reason}")
