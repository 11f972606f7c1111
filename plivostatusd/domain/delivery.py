"""
How long deliveries took, from counts of them by step: percentiles. Pure.

The store counts deliveries by the start of the step that their milliseconds fall into (column
`took` of `messages`): 64 ms wide up to about a second, then eight steps a doubling, and one without
an end at three days. Within its step a percentile is read off in proportion, so it is exact to the
step: a sixteenth of it on average, an eighth at most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

FINE_MS: Final = 64
_FINE_BELOW_MS: Final = 1_024
_ENDLESS_MS: Final = 1 << 28
_FINE_BITS: Final = 6
_BITS_OF_A_STEP: Final = 4  # that tell the steps of a doubling apart, the leading one among them


def step_of(delivery_ms: int) -> int:
    """Give the start of the step that *delivery_ms* falls into, as the column `took` does."""
    bits = max(_FINE_BITS, delivery_ms.bit_length() - _BITS_OF_A_STEP)
    return min(delivery_ms >> bits << bits, _ENDLESS_MS)


def step_ms(took: int) -> int:
    """Say how wide the step is that begins at *took*; the last one has no width."""
    if took >= _ENDLESS_MS:
        return 0
    return FINE_MS if took < _FINE_BELOW_MS else 1 << (took.bit_length() - 4)


def percentile_s(counts: Mapping[int, int], share: float) -> float | None:
    """
    Give the seconds within which *share* (0 to 1) of the deliveries counted came; None of none.

    *counts* is by the start of each step, in milliseconds.
    """
    wanted = share * sum(counts.values())
    if not counts:
        return None
    passed = 0
    for took, count in sorted(counts.items()):
        if passed + count >= wanted:
            return round((took + step_ms(took) * (wanted - passed) / count) / 1_000, 3)
        passed += count
    raise AssertionError("a share is 1 at most")
