"""plivostatusd.web.counts: the same families as prometheus_client's own would give."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from plivostatusd.web.counts import Spread, Tally

BOUNDS = (0.5, 1, 10)


@pytest.fixture
def registry() -> CollectorRegistry:
    """Return a registry that knows nothing yet."""
    return CollectorRegistry()


def _sorted(registry: CollectorRegistry) -> list[str]:
    lines = generate_latest(registry).decode().splitlines()
    return sorted(line for line in lines if "_created" not in line)


def test_a_tally_is_spelt_as_a_counter(registry: CollectorRegistry) -> None:
    """Each series is there, at nought before it is counted, and one is made that was not known."""
    tally = Tally(registry, "x", "About x", ["status", "trust"], [("sent", "full"), ("read", "v")])
    theirs = CollectorRegistry()
    counter = Counter("x", "About x", ["status", "trust"], registry=theirs)
    counter.labels("read", "v")
    for labels in [("sent", "full"), ("sent", "full"), ("other", "full")]:
        tally.count(*labels)
        counter.labels(*labels).inc()
    assert _sorted(registry) == _sorted(theirs)
    assert tally.counts == {("sent", "full"): 2, ("read", "v"): 0, ("other", "full"): 1}


@pytest.mark.parametrize("values", [(), (0, 0.5, 0.500001, 1, 1.5, 10, 11, 1e9), (2.25,) * 3])
def test_a_spread_is_spelt_as_a_histogram(
    registry: CollectorRegistry, values: tuple[float, ...]
) -> None:
    """Each value is counted where it is no greater than a bound, the bound itself included."""
    spread = Spread(registry, "x", "About x", BOUNDS)
    theirs = CollectorRegistry()
    histogram = Histogram("x", "About x", buckets=BOUNDS, registry=theirs)
    for value in values:
        spread.observe(value)
        histogram.observe(value)
    assert _sorted(registry) == _sorted(theirs)
