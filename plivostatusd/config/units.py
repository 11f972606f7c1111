"""
Durations and sizes as people write them: ``30s``, ``7m``, ``16KiB``.

Pure. A bare number has no meaning here, ``0`` aside: thirty what? Refuses with
:class:`~plivostatusd.config.problem.Unfit` and nothing else.
"""

from __future__ import annotations

import re

from plivostatusd.config.problem import Unfit

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {
    "B": 1,
    "kB": 1000,
    "KiB": 1 << 10,
    "MB": 1000**2,
    "MiB": 1 << 20,
    "GB": 1000**3,
    "GiB": 1 << 30,
}
_QUANTITY = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)[ ]?([A-Za-z]*)")


def duration_s(text: str) -> float:
    """Return a duration such as ``500ms``, ``30s``, ``7m``, ``24h`` or ``30d`` in seconds."""
    number, unit = _split(text, "is not a duration")
    return _scaled(text, number, unit, _SECONDS)


def size_bytes(text: str) -> int:
    """Return a size such as ``16KiB`` (1024), ``64kB`` (1000) or ``2MiB`` in whole bytes."""
    number, unit = _split(text, "is not a size")
    return int(_scaled(text, number, unit, _BYTES))


def _split(text: str, complaint: str) -> tuple[str, str]:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise Unfit(complaint, text)
    return match[1], match[2]


def _scaled(text: str, number: str, unit: str, factors: dict[str, float] | dict[str, int]) -> float:
    if not unit and float(number) == 0:
        return 0.0
    if not unit:
        raise Unfit("has no unit", text)
    if unit not in factors:
        known = ", ".join(factors)
        raise Unfit(f"has a unit that is not known here (known: {known})", text)
    return float(number) * factors[unit]
