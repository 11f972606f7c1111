"""
Two servers before one client, ours and Tornado's: where they may differ, and where not.

The ways in which they may are listed in DECISIONS.md, 2026-11-30.
"""

from __future__ import annotations

import re
from typing import Final

from tests.fuzz.played import Played
from tests.fuzz.readers import Taken

_WAITING: Final = {"head", "body", "idle"}
_TARGET: Final = re.compile(r"(?:/|\*$|[a-zA-Z]+://[^/?#]).*")
_NO_URL: Final = re.compile(r"[^!-~]|^[a-zA-Z]+://[^/?]*[^-.\w\[\]:%@!$&'()*+,;=~/?]")
_METHODS: Final = {"ANNOUNCE", "PRI"}
_STRICTER: Final = re.compile(rb"HTTP/1\.[2-9]|chunked[ \t]*\t", re.IGNORECASE)
"""What else ours refuses and Tornado takes, as far as the grammar of `smuggling` has it."""


def fault(data: bytes, ours: Played, theirs: Played) -> str | None:
    """Say what is wrong with what became of *data*, if anything is."""
    if any(each.answers != len(each.taken) for each in (ours, theirs)):
        return "a request is taken and not answered"
    count = len(ours.taken)
    if ours.taken != theirs.taken[:count]:
        return "taken otherwise than by Tornado"
    more = theirs.taken[count:]
    if ours.end == "400":
        return "refused, and nowhere listed" if more and not _is_listed(data, more[0]) else None
    if ours.end == "closed" and ours.taken and _is_last(ours.taken[-1]):
        return None
    if more:
        return "cut, and nowhere listed"
    is_laxer = ours.end in _WAITING and theirs.end not in _WAITING
    return "Tornado refuses it" if is_laxer else None


def _is_listed(data: bytes, taken: Taken) -> bool:
    is_url = _TARGET.match(taken.target) and not _NO_URL.search(taken.target)
    return not is_url or taken.method in _METHODS or bool(_STRICTER.search(data))


def _is_last(taken: Taken) -> bool:
    words = ",".join(value for name, value in taken.fields if name == "connection")
    return "close" in [word.strip(" \t") for word in words.lower().split(",")]
