"""
Copy the whole store into FILE while the daemon runs, as it is at one moment.

The copy is checked, and on disk, before it takes the place of an older FILE. Nobody
but you can read it: it holds numbers and texts. What puts it back:
plivostatusd --restore FILE
"""

from __future__ import annotations

import base64
import hashlib
from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path

from plivostatusd.ctl.by_hand import download
from plivostatusd.ctl.connection import Answer
from plivostatusd.ctl.context import Run
from plivostatusd.ctl.errors import DONE, AnswerLost, CtlError, UsageError
from plivostatusd.ctl.progress import Progress, progress
from plivostatusd.ctl.replacing import Write, replacing
from plivostatusd.ctl.uninterrupted import Uninterrupted

WORDS = "FILE"
TIMEOUT_S = 6 * 3600.0
"""The daemon copies and checks before it answers; on a Unix socket its end is noticed at once."""
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Announced:
    """
    What the daemon says of the copy before it sends it.

    *spooled* callbacks are not in it. *store* names the store's own file: device and inode.
    """

    size: int
    sha256: bytes
    spooled: int
    store: str


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the file."""
    parser.add_argument("file", metavar="FILE", type=Path, help="where the copy goes")


def run(run: Run) -> int:
    """Fetch a copy and put it in the file's place."""
    file = _checked(run.options.file)
    run.options.words_again = [str(file)]
    with Uninterrupted(), progress(as_json=run.output.as_json) as shown:
        shown.show("waiting for the daemon's copy")
        with download(run, "/backup", TIMEOUT_S) as answer:
            announced = _announced(answer)
            _check_that_it_is_not_the_store(file, announced.store)
            with replacing(file) as write:
                _receive(answer, write, announced, shown)
    _tell(run, file, announced)
    return DONE


def _tell(run: Run, file: Path, announced: Announced) -> None:
    if run.output.as_json:
        told = {"file": str(file), "bytes": announced.size, "sha256": announced.sha256.hex()}
        run.output.document({**told, "spooled": announced.spooled})
        return
    run.output.line(f"{file}  {announced.size / _MIB:.1f} MiB, checked")
    if announced.spooled:
        run.output.note(f"{announced.spooled} callbacks wait in the spool and are not in it")


def _check_that_it_is_not_the_store(file: Path, store: str) -> None:
    try:
        status = file.stat()
    except OSError:
        return
    if f"{status.st_dev}:{status.st_ino}" == store:
        raise UsageError(f"{file} is the store itself")


def _checked(file: Path) -> Path:
    """See beforehand that there is a place for *file*. Raises `UsageError`."""
    if file.is_dir():
        raise UsageError(f"{file} is a directory; a file's name is wanted")
    if str(file) == "-":
        raise UsageError("a file's name is wanted: a copy is whole and on disk, or none")
    if not file.parent.is_dir():
        raise UsageError(f"there is no directory {file.parent}")
    return file


def _announced(answer: Answer) -> Announced:
    """Read what is said of the copy. Raises `CtlError`: whoever answered is not this daemon."""
    size = answer.field("X-Backup-Bytes")
    digest = answer.field("Repr-Digest")
    try:
        sha256 = base64.b64decode(digest.removeprefix("sha-256=:").removesuffix(":"), validate=True)
        spooled = int(answer.field("X-Backup-Spooled", "0"))
        return Announced(int(size), sha256, spooled, answer.field("X-Store-File"))
    except ValueError:
        raise CtlError("the answer is not the daemon's: it announces no copy") from None


def _receive(answer: Answer, write: Write, announced: Announced, shown: Progress) -> None:
    digest, size = hashlib.sha256(), 0
    for piece in answer.pieces():
        digest.update(piece)
        size += len(piece)
        write(piece)
        shown.show(f"{size * 100 // max(1, announced.size)}% of {announced.size / _MIB:.0f} MiB")
    if (size, digest.digest()) != (announced.size, announced.sha256):
        raise AnswerLost(
            f"the copy was cut off after {size} of {announced.size} bytes: is the daemon stopping?"
        )
