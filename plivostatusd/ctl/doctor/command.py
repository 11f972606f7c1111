"""Runs another program, bounded in time, and gives what it said."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass

WITHIN_S = 6.0
_ADMIN_PATH = "/usr/local/sbin:/usr/sbin:/sbin"


@dataclass(frozen=True, slots=True)
class Said:
    """What a program said; *status* None: it is not there, or did not end in time."""

    status: int | None
    out: str = ""
    err: str = ""
    is_missing: bool = False

    @property
    def last_line(self) -> str:
        """The last thing it complained of."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        return lines[-1].strip() if lines else ""


def said(line: str, *more: str) -> Said:
    """Run the program in *line* with its own arguments and *more*."""
    words = shlex.split(line)
    path = f"{os.environ.get('PATH', os.defpath)}:{_ADMIN_PATH}"
    program = shutil.which(words[0], path=path) if words else None
    if program is None:
        return Said(None, is_missing=True)
    try:
        done = subprocess.run(  # noqa: S603 - the operator's own command, and no shell
            [program, *words[1:], *more],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=WITHIN_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return Said(None)
    return Said(
        done.returncode,
        done.stdout.decode("utf-8", "replace"),
        done.stderr.decode("utf-8", "replace"),
    )
