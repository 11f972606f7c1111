"""How the local API spells its documents: JSON, nothing blank in it, a line each."""

from __future__ import annotations

import json

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
"""Made once: `json.dumps` with options makes one a call."""


def spell(document: object) -> str:
    """Spell *document* as one line."""
    return _ENCODER.encode(document) + "\n"
