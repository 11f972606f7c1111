"""
What was read so far: where each value came from, and every problem and warning on the way.

One `Report` lives as long as one `load`. Nobody outside this package sees it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from plivostatusd.config.problem import Problem, Unfit


class Origin(NamedTuple):
    """Where a value stands: a file and line, or an environment variable."""

    file: str
    line: int | None = None


@dataclass(slots=True)
class Report:
    """Collects problems and warnings about the configuration in *file*."""

    file: str
    origins: dict[str, Origin] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    command: str = ""
    """What root types to mend the first problem that `plivostatusd -t` would not show to root."""

    def refuse(self, name: str, found: str, expected: str = "", *, command: str = "") -> None:
        """Note a problem with the setting *name* (`section.key`), at the place of its value."""
        self.refused.add(name)
        self.command = self.command or command
        self.problems.append(self.about(name, found, expected))

    def refuse_file(self, name: str, unfit: Unfit) -> None:
        """Note that the file which the setting *name* names cannot be read."""
        found = f"the file that it names {unfit.what}"
        self.refuse(name, found, "a readable file", command=unfit.command)

    def warn(self, name: str, found: str, expected: str = "") -> None:
        """Note a doubt about the setting *name*, at the place of its value."""
        self.warnings.append(self.about(name, found, expected))

    def about(self, name: str, found: str, expected: str) -> Problem:
        """Make a problem of the setting *name*, at the place of its value."""
        section, _, key = name.partition(".")
        place = self.origins.get(name, Origin(self.file))
        return Problem(
            file=place.file,
            line=place.line,
            section=section,
            key=key,
            found=found,
            expected=expected,
        )
