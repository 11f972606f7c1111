"""
What every callback counts: plain numbers, which become Prometheus's families when somebody scrapes.

prometheus_client's own take a lock and look their series up, a microsecond each and more. These are
counted and collected on the event loop's thread, and need neither.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from prometheus_client import CollectorRegistry

Labels = tuple[str, ...]


class Tally(Collector):
    """A counter by labels: `counts` has each series, and a series that is not there is made."""

    def __init__(
        self,
        registry: CollectorRegistry,
        name: str,
        about: str,
        labels: Sequence[str],
        series: Iterable[Labels],
    ) -> None:
        self.counts: dict[Labels, int] = dict.fromkeys(series, 0)
        self._name = name
        self._about = about
        self._labels = labels
        registry.register(self)

    def count(self, *labels: str) -> None:
        """Count one more."""
        self.counts[labels] = self.counts.get(labels, 0) + 1

    def collect(self) -> Iterable[CounterMetricFamily]:
        """Give the family as it is now."""
        family = CounterMetricFamily(self._name, self._about, labels=self._labels)
        for labels, count in self.counts.items():
            family.add_metric(labels, count)
        return [family]


class Spread(Collector):
    """A histogram: how many were no greater than each of *bounds*, which ascend."""

    def __init__(
        self, registry: CollectorRegistry, name: str, about: str, bounds: Sequence[float]
    ) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._name = name
        self._about = about
        registry.register(self)

    def observe(self, value: float) -> None:
        """Count *value*."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """Give the family as it is now."""
        names = map(floatToGoString, [*self._bounds, float("inf")])
        buckets = list(zip(names, accumulate(self._counts), strict=True))
        family = HistogramMetricFamily(self._name, self._about)
        family.add_metric([], buckets, self._sum)
        return [family]
