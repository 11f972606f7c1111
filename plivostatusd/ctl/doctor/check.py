"""One line of what `doctor` found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from plivostatusd.ctl.table import Column
from plivostatusd.ctl.visible import printable

OK, WARNING, FAULT = "ok", "warning", "fault"


@dataclass(frozen=True, slots=True)
class Check:
    """A check that was made: its name, its state, what was found and what to type."""

    COLUMNS: ClassVar = (Column("state", least=7), Column("check", least=15), Column("found"))
    STATES: ClassVar = (OK, WARNING, FAULT)

    name: str
    state: str
    found: str
    fix: str = ""

    def document(self) -> dict[str, str]:
        """Say it to a program."""
        return {"name": self.name, "state": self.state, "found": self.found, "fix": self.fix}

    def cells(self) -> list[str]:
        """Say it to a person."""
        what = f"{self.found} -> {self.fix}" if self.fix else self.found
        return [self.state, self.name, printable(what)]


@dataclass(frozen=True, slots=True)
class Named:
    """Makes checks of one name."""

    name: str

    def ok(self, found: str) -> Check:
        """All is well."""
        return Check(self.name, OK, found)

    def warning(self, found: str, fix: str = "") -> Check:
        """It may be well, or cannot be told."""
        return Check(self.name, WARNING, found, fix)

    def fault(self, found: str, fix: str) -> Check:
        """It does not work, or is open to others."""
        return Check(self.name, FAULT, found, fix)
