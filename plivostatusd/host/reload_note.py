"""
What became of the last reload, for the program that asked for it.

A signal has no answer: the daemon replaces a small file in the service's runtime directory, and
`systemctl reload` returns when that has happened. Imports little, as the helper is started each
time.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

NAME: Final = "reload"


@dataclass(frozen=True, slots=True)
class ReloadNote:
    """How the *count*-th reload of process *pid* ended, and what there is to say of it."""

    pid: int
    count: int
    taken: bool
    sentences: list[str]

    def write(self, folder: Path) -> None:
        """Put it in the place of the one before, in *folder*. Raises `OSError`."""
        new = folder / f".{NAME}.new"
        new.write_text(json.dumps(asdict(self)), encoding="utf-8")
        new.replace(folder / NAME)


def read(folder: Path) -> ReloadNote | None:
    """Give the note in *folder*; None when there is none, or none that can be read."""
    with suppress(OSError, ValueError, TypeError):
        return ReloadNote(**json.loads((folder / NAME).read_bytes()))
    return None
