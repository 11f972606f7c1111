"""What the daemon goes by now, as far as an operator is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from plivostatusd.domain.signature import Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Knows:
    """Settings in force; replaced as a whole at a reload."""

    config_path: Path
    public_urls: tuple[str, ...]
    listens: tuple[str, ...]
    minimum_trust: str
    keys: tuple[Key, ...]
