"""Reads the token that is shown to the local API over TCP."""

from __future__ import annotations

from pathlib import Path

from plivostatusd.ctl.errors import UsageError

_FILE_BYTES_MAX = 65_536


def first_token(path: Path) -> str:
    """
    Return the first token of *path*: a line that is a token, or `NAME TOKEN`; `#` comments.

    Raises:
        OSError: the file cannot be read.
        UsageError: it holds no token; the text names the file, never what it holds.
    """
    with path.open("rb") as file:
        content = file.read(_FILE_BYTES_MAX).decode("utf-8-sig", "replace")
    for line in content.splitlines():
        words = line.split()
        if words and not words[0].startswith("#"):
            return _checked(words[-1], path, words_count=len(words))
    raise UsageError(f"{path} holds no token")


def _checked(token: str, path: Path, *, words_count: int) -> str:
    if words_count > len(("NAME", "TOKEN")) or not (token.isascii() and token.isprintable()):
        raise UsageError(f"the first line of {path} is neither TOKEN nor NAME TOKEN")
    return token
