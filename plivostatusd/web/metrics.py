"""
What is counted and measured, and its Prometheus text.

What each callback counts is `counts`. Every series whose labels are known beforehand is
there from the start, at nought: increase() sees no first step in one that begins with 1. What is
looked at when somebody scrapes is `standing`.
"""

from __future__ import annotations

import platform
import sqlite3
import time
from itertools import product
from typing import TYPE_CHECKING, Final, NamedTuple

import tornado
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
    generate_latest,
)

from plivostatusd import __version__
from plivostatusd.domain.statuses import OURS, RANKS
from plivostatusd.flows.ingest import UNKNOWN_PATH
from plivostatusd.flows.outbox.calls import OUTCOMES
from plivostatusd.flows.reconcile.outcomes import RESULTS
from plivostatusd.web.counts import Spread, Tally
from plivostatusd.web.standing import StandingGauges, word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from plivostatusd.domain.callback import Report
    from plivostatusd.store.receipts import Recorded

_COMMIT_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
_SEND_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_DELIVERY_BUCKETS: Final = (1, 2, 5, 10, 30, 60, 300, 1_800, 7_200, 43_200, 259_200)
_REASONS: Final = (
    *("no_signature", "malformed_nonce", "mismatch", "too_weak", "replay", "unknown_ref"),
    *(UNKNOWN_PATH, "unreadable", "too_large"),
    *("queue_full", "store-unavailable", "store-damaged"),
)
"""Every word of `callbacks_refused_total{reason}`."""


def _reload_gauge(registry: CollectorRegistry) -> Gauge:
    gauge = Gauge(
        "plivostatusd_config_last_reload_successful",
        "Whether the last reading of the configuration was taken",
        registry=registry,
    )
    gauge.set(1)
    return gauge


def _counter(
    registry: CollectorRegistry, name: str, about: str, label: str, words: Iterable[str]
) -> Counter:
    """Make a counter by one label, at nought for each of *words*."""
    counter = Counter(f"plivostatusd_{name}", about, [label], registry=registry)
    for each in words:
        counter.labels(each)
    return counter


def _connection_metrics(registry: CollectorRegistry) -> tuple[Gauge, Counter]:
    return (
        Gauge(
            "plivostatusd_connections",
            "Connections that are open",
            ["listener"],
            registry=registry,
        ),
        Counter(
            "plivostatusd_connections_cut",
            "Connections cut: for room, or for what was waited for in vain",
            ["listener", "reason"],
            registry=registry,
        ),
    )


def _versions() -> dict[str, str]:
    return {
        "version": __version__,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "tornado": tornado.version,
    }


class SoFar(NamedTuple):
    """What this process has done: new events, calls to Plivo, the last callback's time or 0."""

    callbacks: int
    calls: int
    last_callback_s: float


class Metrics:
    """Every metric of this process; the flows' gauges."""

    def __init__(self) -> None:
        # They would be one series more a counter, which no rule of ours looks at.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no types here
        registry = CollectorRegistry()
        self.registry = registry
        name = "plivostatusd_{}".format
        self._callbacks = Tally(
            registry,
            name("callbacks"),
            "Callbacks recorded as new events",
            ["status", "trust"],
            product(sorted(RANKS.keys() - OURS), ("full", "url-only")),
        )
        self._repeated = Counter(
            name("callbacks_repeated"), "Exact repeats, answered 200", registry=registry
        )
        self._refused = _counter(
            registry, "callbacks_refused", "Callbacks not answered 200", "reason", _REASONS
        )
        self._commit = Spread(
            registry,
            name("callback_commit_seconds"),
            "From receipt of a callback to its commit",
            _COMMIT_BUCKETS,
        )
        self.commit_took = self._commit.observe
        """Measure one callback's way to disk, in seconds."""
        self._sends = _counter(registry, "sends", "Calls to Plivo", "outcome", OUTCOMES)
        self._send_seconds = Histogram(
            name("send_seconds"),
            "How long calls to Plivo took",
            buckets=_SEND_BUCKETS,
            registry=registry,
        )
        self._delivery = Spread(
            registry,
            name("delivery_seconds"),
            "Plivo's SentTime to its DeliveryReportTime",
            _DELIVERY_BUCKETS,
        )
        self._last_callback_s = 0.0
        Gauge(
            name("last_callback_timestamp_seconds"),
            "When the last callback was recorded; nought while there was none",
            registry=registry,
        ).set_function(lambda: self._last_callback_s)
        self._reconciled = _counter(
            registry, "reconciled", "Answers of Plivo's API about messages", "result", RESULTS
        )
        self._open, self._cut = _connection_metrics(registry)
        self._reload = _reload_gauge(registry)
        self.last_reload_was_good = True
        self._probe: Gauge | None = None
        self._certificate: Gauge | None = None
        self.standing = StandingGauges(registry)
        started = Gauge(
            name("start_timestamp_seconds"), "When this process began", registry=registry
        )
        started.set_to_current_time()
        Info(name("build"), "Versions of what runs", registry=registry).info(_versions())
        self._transport = Info(
            name("transport"), "The event loop, and what reads HTTP", registry=registry
        )

    def runs_on(self, loop: str, parser: str) -> None:
        """Say which event loop runs, and what reads HTTP."""
        self._transport.info({"loop": loop, "parser": parser})

    def callback_recorded(self, recorded: Recorded, report: Report, trust: str) -> None:
        """Count a new event; the one that brings the delivery tells how long that took."""
        del recorded
        self._callbacks.count(word(report.status), trust)
        self._last_callback_s = time.time()
        if report.status == "delivered" and report.sent_us and report.delivered_us:
            self._delivery.observe(max(0, report.delivered_us - report.sent_us) / 1_000_000)

    def last_callback_was(self, at_us: int) -> None:
        """Take over from the store when the last callback came before this process."""
        self._last_callback_s = at_us / 1_000_000

    def callback_repeated(self) -> None:
        """Count a repeat."""
        self._repeated.inc()

    def callback_refused(self, reason: str) -> None:
        """Count a refusal."""
        self._refused.labels(reason).inc()

    def send_tried(self, outcome: str, seconds: float) -> None:
        """Count and measure one call to Plivo."""
        self._sends.labels(outcome).inc()
        self._send_seconds.observe(seconds)

    def reconciled(self, result: str) -> None:
        """Count one answer of Plivo's API, or the lack of one."""
        self._reconciled.labels(result).inc()

    def count_connections(self, listener: str, count: Callable[[], int]) -> None:
        """Ask *count* at each scrape how many connections *listener* has."""
        self._open.labels(listener).set_function(count)

    def connection_cut(self, listener: str, reason: str) -> None:
        """Count a connection that was cut."""
        self._cut.labels(listener, reason).inc()

    def reload_ended(self, *, successful: bool) -> None:
        """Say how the last reload ended."""
        self.last_reload_was_good = successful
        self._reload.set(successful)

    def so_far(self) -> SoFar:
        """Sum up what has been counted."""
        callbacks = sum(self._callbacks.counts.values())
        return SoFar(callbacks, _total(self._sends), self._last_callback_s)

    def probe_ended(self, *, successful: bool) -> None:
        """Say how the last probe of the front door ended; before the first there is no series."""
        if self._probe is None:
            self._probe = Gauge(
                "plivostatusd_probe_successful",
                "Whether the last signed probe by public_url came back in",
                registry=self.registry,
            )
        self._probe.set(successful)

    def certificate_seen(self, expires_s: float) -> None:
        """Say when the front door's certificate expires; without TLS there is no series."""
        if self._certificate is None:
            self._certificate = Gauge(
                "plivostatusd_certificate_expiry_timestamp_seconds",
                "When the certificate that the last probe by public_url was shown expires",
                registry=self.registry,
            )
        self._certificate.set(expires_s)

    def text(self) -> bytes:
        """Spell everything for a scrape."""
        return generate_latest(self.registry)


def _total(counter: Counter) -> int:
    """Add a counter's series up."""
    return int(sum(sample.value for family in counter.collect() for sample in family.samples))
