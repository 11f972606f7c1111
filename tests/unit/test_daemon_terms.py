"""What doors and flows are told, where it is more than what the configuration says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from plivostatusd.daemon import terms


@pytest.mark.parametrize(
    ("queue_max", "connections_max", "expected"),
    [(5_000, 2_048, 1_536), (100, 2_048, 100), (5_000, 8, 6)],
)
def test_a_queue_that_can_be_full(queue_max: int, connections_max: int, expected: int) -> None:
    """No more callbacks wait than leave connections on which others are told to come again."""
    config: Any = SimpleNamespace(callbacks=SimpleNamespace(queue_max=queue_max))
    assert expected == terms.queue_max(config, connections_max)
