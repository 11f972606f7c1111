"""
What is said in the end: a state, which is the exit status, and one line. Pure.

Source: Monitoring Plugins Development Guidelines, "Plugin Output" and "Plugin Return Codes" (read
2026-11-30).
"""

from __future__ import annotations

from dataclasses import dataclass

OK, WARNING, CRITICAL, UNKNOWN = range(4)
_WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")


@dataclass(frozen=True, slots=True)
class Datum:
    """One piece of performance data; a *value* of None is not to be told now (`U`)."""

    label: str
    value: float | None
    unit: str = ""
    warning: str = ""
    critical: str = ""
    most: str = ""

    def __str__(self) -> str:
        """Spell it: 'label'=value[UOM];[warn];[crit];[min];[max]."""
        value = "U" if self.value is None else f"{_spelled(self.value)}{self.unit}"
        spelled = f"{self.label}={value};{self.warning};{self.critical};0;{self.most}"
        return spelled.rstrip(";")


def _spelled(value: float) -> str:
    """Spell a number as plain digits, never as a power of ten."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


@dataclass(frozen=True, slots=True)
class Verdict:
    """A state, why, and what was measured."""

    state: int
    text: str
    data: tuple[Datum, ...] = ()

    def line(self) -> str:
        """Say it in one line, which holds no other bar than the one before the data."""
        text = " ".join(self.text.replace("|", "/").split())
        said = f"PLIVOSTATUS {_WORDS[self.state]} - {text}"
        return f"{said} | {' '.join(map(str, self.data))}" if self.data else said
