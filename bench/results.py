"""All that a run found, and its file: page and plots are made from it, at once or again later."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from .at_rest import Rest
from .latency import Latency
from .overload import Bin, Overload
from .rounds import Played, Rates
from .sends import Sends

BARE, REFS = "bare", "refs"


@dataclass(slots=True)
class Results:
    """What is None or empty was not asked for."""

    machine: dict[str, str]
    rates: dict[str, Rates] = field(default_factory=dict)
    """By path: of the bare one, and of refs."""
    latency: dict[str, Latency] = field(default_factory=dict)
    overload: dict[str, Overload] = field(default_factory=dict)
    sends: Sends | None = None
    rest: Rest | None = None

    def write(self, file: Path) -> None:
        """Keep it as JSON."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read what was written."""
        said = json.loads(file.read_text())
        return cls(
            said["machine"],
            {path: _rates(each) for path, each in said["rates"].items()},
            {name: Latency(**each) for name, each in said["latency"].items()},
            {name: _overload(each) for name, each in said["overload"].items()},
            said["sends"] and Sends(**said["sends"]),
            said["rest"] and Rest(**said["rest"]),
        )


def _rates(said: dict[str, Any]) -> Rates:
    rounds = {name: [Played(**each) for each in played] for name, played in said["rounds"].items()}
    return Rates(said["path"], rounds, said["memory_mib"], said["stale"])


def _overload(said: dict[str, Any]) -> Overload:
    bins = [Bin(**each) for each in said.pop("bins")]
    return Overload(**said, bins=bins)
