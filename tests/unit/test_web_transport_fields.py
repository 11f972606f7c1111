"""Fields that were read behave as Tornado's `HTTPHeaders` do."""

from __future__ import annotations

from copy import copy

import pytest
from tornado.httputil import HTTPHeaders

from plivostatusd.web.transport.fields import Fields

LINES = ["host:x", "X-A:  1\t", "x-a: 2", "Empty:", "X-a:3"]


@pytest.fixture
def both() -> tuple[Fields, HTTPHeaders]:
    """Give the same fields in either."""
    theirs = HTTPHeaders()
    for line in LINES:
        name, value = line.split(":", 1)
        theirs.add(name, value.strip())
    return Fields(LINES), theirs


def test_same(both: tuple[Fields, HTTPHeaders]) -> None:
    """Every way to look at them shows the same."""
    ours, theirs = both
    assert list(theirs.get_all()) == list(ours.get_all())
    assert dict(theirs) == dict(ours)
    assert (len(theirs), str(theirs)) == (len(ours), str(ours))
    for name in ("HOST", "x-A", "empty", "none"):
        assert theirs.get(name, "?") == ours.get(name, "?")
        assert theirs.get_list(name) == ours.get_list(name)
        assert (name in theirs) == (name in ours)
    assert isinstance(copy(ours), HTTPHeaders)
    assert theirs == copy(ours) == ours


def test_changed(both: tuple[Fields, HTTPHeaders]) -> None:
    """Every way to change them does the same."""
    for fields in both:
        fields["x-a"] = "4"
        fields.add("X-A", "5")
        fields.add("new", "6")
        del fields["Host"]
        with pytest.raises(KeyError):
            fields["host"]
        assert [("X-A", "4"), ("X-A", "5"), ("Empty", ""), ("New", "6")] == list(fields.get_all())
        assert "4,5" == fields["x-A"]


def test_copies_are_apart(both: tuple[Fields, HTTPHeaders]) -> None:
    """What is done to a copy is not done to what was read."""
    ours, _ = both
    ours.copy()["Host"] = "y"
    ours.get_list("x-a").append("4")
    assert ("x", "1,2,3") == (ours["host"], ours["x-a"])
