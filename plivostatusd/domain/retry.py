"""How long to wait before a call that never reached Plivo is made again. Pure."""

from __future__ import annotations

BASE_S = 1.0
MAX_S = 60.0
_JITTER = 0.5


def delay_s(attempt: int, *, random: float, told_s: float | None = None) -> float:
    """
    Wait before *attempt* (1 = first retry), in seconds: doubling from 1 to 60, less up to half.

    *random* is in [0, 1); *told_s* is Plivo's Retry-After, which is obeyed to the letter.

    Raises:
        ValueError: *attempt* is below 1.

    """
    if attempt < 1:
        message = f"attempt={attempt}: the first retry is 1"
        raise ValueError(message)
    if told_s is not None:
        return told_s
    doubled = BASE_S * 2.0 ** min(attempt - 1, 16)
    return min(doubled, MAX_S) * (1.0 - _JITTER * random)
