"""What is known of an installation: its URLs and tokens, and what may stand where they should."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from plivostatusd.domain.signature import Key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ASSIGNMENT: Final = re.compile(r"[A-Za-z_.]+\s*[=:]\s*(\S+)")
_QUOTES: Final = "\"'`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """
    A token that may have signed though nobody trusts it.

    *mistake* is its slug (old-token, main-token, token-newline and so on); *found* and *fix* are
    sentences for the operator, without the token.
    """

    key: Key
    mistake: str
    found: str
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Clues:
    """
    All that a search goes by.

    *public_urls* and *keys* are those in force; *suspects* are further tokens. *hosts* and
    *prefixes* are names and paths that turn up elsewhere, as in Nginx's configuration.
    """

    public_urls: tuple[str, ...]
    keys: tuple[Key, ...]
    suspects: tuple[Suspect, ...] = ()
    hosts: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    upstream: str = "127.0.0.1:8787"
    is_full_wanted: bool = False


def suspects_of(lines: Iterable[str], place: str) -> Iterator[Suspect]:
    """
    Give what a token file may have been meant to say: *lines* are its lines as they stand.

    A token with a newline or blank, one in quotes or behind a name, one that is broken over two
    lines, and one that is commented out.
    """
    stripped = [line.strip().lstrip("\ufeff") for line in lines]
    tokens = [line for line in stripped if line and not line.startswith("#")]
    for number, token in enumerate(tokens, start=1):
        yield from _with_a_blank(token, place, number)
        yield from _dressed(token, place, number)
    for number, (first, second) in enumerate(pairwise(tokens), start=1):
        yield Suspect(
            key=Key.of(f"tokens {number} and {number + 1} joined", first + second),
            mistake="token-split",
            found=f"the token in {place} is broken over two lines by a stray newline",
            fix=f"join lines {number} and {number + 1} of {place} into one",
        )
    for line in stripped:
        if line.startswith("#") and len(line.lstrip("# ").split()) == 1:
            yield Suspect(
                key=Key.of("commented out", line.lstrip("# ")),
                mistake="old-token",
                found=f"the token that signs is commented out in {place}",
                fix=f"remove the # before it in {place}",
            )


def _with_a_blank(token: str, place: str, number: int) -> Iterator[Suspect]:
    """Somebody signs with the file's bytes, its newline or a blank among them."""
    spelt = {"\n": "a stray newline", "\r\n": "a stray newline (of Windows)", " ": "a stray blank"}
    for tail, name in spelt.items():
        yield Suspect(
            key=Key.of(f"token {number} and {name}", token + tail),
            mistake="token-newline",
            found=f"it is signed with token {number} of {place} and {name} behind it",
            fix=f"store the token without it where it signs: printf %s TOKEN, or tr -d '\\r\\n '"
            f" < {place}",
        )


def _dressed(token: str, place: str, number: int) -> Iterator[Suspect]:
    """The file holds more than the token: quotes around it, or a name before it."""
    bare = token.strip(_QUOTES)
    match = _ASSIGNMENT.fullmatch(bare)
    if match:
        bare = match[1].strip(_QUOTES)
    if bare and bare != token:
        yield Suspect(
            key=Key.of(f"token {number}, bare", bare),
            mistake="token-quoted",
            found=f"line {number} of {place} holds quotes or a name around the token",
            fix=f"leave the token alone on its line in {place}",
        )
