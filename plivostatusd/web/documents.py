"""
How the local API spells its documents: JSON, nothing blank in it, a line each.

A long one is spelt a slice at a time, and gives way to callbacks in between.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

SLICE: Final = 32
"""Documents that are shaped and spelt in one go: half a millisecond, in which nobody else is."""
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
"""Made once: `json.dumps` with options makes one a call."""


def spell(document: object) -> str:
    """Spell *document* as one line."""
    return _ENCODER.encode(document) + "\n"


async def spell_list(
    name: str,
    documents: Iterable[object],
    rest: Mapping[str, object],
    give_way: Callable[[], Awaitable[None]],
) -> str:
    """
    Spell an object as one line: under *name* the list of *documents*, behind it *rest*.

    *documents* is best an iterator that makes each when it is asked for it; *give_way* is awaited
    between two slices.
    """
    spelt: list[str] = []
    for index, document in enumerate(documents, start=1):
        spelt.append(_ENCODER.encode(document))
        if index % SLICE == 0:
            await give_way()
    more = "," * bool(rest) + _ENCODER.encode(dict(rest))[1:]
    return f"{{{_ENCODER.encode(name)}:[{','.join(spelt)}]{more}\n"
