"""Bars beside figures."""

from __future__ import annotations

import pytest

from plivostatusd.ctl.chart import bars


@pytest.mark.parametrize(
    ("values", "blocks", "expected"),
    [
        ([4, 2, 1], False, ["####", "##", "#"]),
        ([100, 1, 0], False, ["####", "#", ""]),
        ([4, 3, 1], True, ["████", "███", "█"]),
        ([32, 13, 1], True, ["████", "█▋", "▏"]),
        ([1000, 1, 0], True, ["████", "▏", ""]),
        ([0, 0], True, ["", ""]),
        ([], True, []),
    ],
)
def test_bars(values: list[float], *, blocks: bool, expected: list[str]) -> None:
    """The greatest is as wide as can be, the others in proportion, and a little is not nothing."""
    assert expected == bars(values, blocks=blocks, width=4)
