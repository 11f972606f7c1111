"""
What befalls a callback on its way: nothing, or it is lost, doubled, late. Pure.

Drawn by the seed, the message and the change it reports alone, so that neither the order in which
messages were taken nor anybody's speed has a say in it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from .options import Options

LATE_S_MAX = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What befalls every call about one change; *late_s* is in Plivo's seconds."""

    is_lost: bool
    is_doubled: bool
    late_s: float


def fate_of(options: Options, lot: str, sequence: int) -> Fate:
    """Draw the fate of change *sequence* of the message that drew *lot*."""
    source = random.Random(f"{lot}/{sequence}")
    lost, doubled, late = (source.random() for _ in range(3))
    return Fate(
        is_lost=lost < options.lose,
        is_doubled=doubled < options.double,
        late_s=source.uniform(0.0, LATE_S_MAX) if late < options.delay else 0.0,
    )
