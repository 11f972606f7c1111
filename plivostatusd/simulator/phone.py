"""Numbers as Plivo reads and writes them: digits alone. Pure."""

from __future__ import annotations

import re

_SEPARATORS = str.maketrans("", "", "/-.+() \u00a0")
# Plivo: 14 digits at most, country code included. Its least length is not documented.
_NUMBER = re.compile(r"[1-9]\d{4,13}", re.ASCII)
_KEPT_LEADING = 4
_KEPT_TRAILING = 4


def digits(number: str) -> str | None:
    """Strip what Plivo strips from a recipient; None when no number is left."""
    bare = number.translate(_SEPARATORS)
    return bare if _NUMBER.fullmatch(bare) else None


def mask(number: str) -> str:
    """Hide the middle: `14155552323` becomes `+1415****2323`."""
    if len(number) <= _KEPT_LEADING + _KEPT_TRAILING:
        return "****"
    return f"+{number[:_KEPT_LEADING]}****{number[-_KEPT_TRAILING:]}"
