"""
What can be measured, by the names that --check takes.

Each is a function of the questions that gives a `Measure`; None stands for a value that is not to
be told: the store cannot be read, or nothing has happened yet.
"""

from __future__ import annotations

import math
import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from plivostatusd.check.questions import Questions
from plivostatusd.check.verdict import Datum

_NAMES = {
    "oldest_open": "plivostatusd_oldest_open_message_seconds",
    "last_callback": "plivostatusd_last_callback_timestamp_seconds",
    "unknown_sends": 'plivostatusd_outbox_messages{state="unknown"}',
}


@dataclass(frozen=True, slots=True)
class Measure:
    """
    Something measured, and how it is said. *text* is said in place of a value that is None.

    *judged* is what thresholds are held against; None is nothing to judge.
    """

    datum: Datum
    text: str
    judged: float | None


def oldest_open(questions: Questions, _: Namespace) -> Measure:
    """Age of the oldest message that is not final, in seconds; 0 when all are."""
    return _oldest_open(questions.metrics())


def last_callback(questions: Questions, _: Namespace) -> Measure:
    """Seconds since Plivo last reported anything."""
    return _last_callback(questions.metrics())


def unknown_sends(questions: Questions, _: Namespace) -> Measure:
    """How many sends there are of which nobody knows whether they went out."""
    return _unknown_sends(questions.metrics())


def delivery_ratio(questions: Questions, options: Namespace) -> Measure:
    """Share of the messages made since --since that were delivered, of those that ended, in %."""
    ratio = questions.counts(options.since).get("delivery_ratio")
    if not isinstance(ratio, int | float):
        return Measure(Datum("delivery_ratio", None, "%", most="100"), "no message has ended", None)
    percent = ratio * 100
    return Measure(
        Datum("delivery_ratio", percent, "%", most="100"), f"{percent:.1f}% delivered", percent
    )


MEASURES: dict[str, Callable[[Questions, Namespace], Measure]] = {
    "oldest-open": oldest_open,
    "delivery-ratio": delivery_ratio,
    "last-callback": last_callback,
    "unknown-sends": unknown_sends,
}


def all_of(metrics: Mapping[str, float]) -> tuple[Measure, ...]:
    """Give what the metrics tell at once, for a line that judges none of it."""
    return _oldest_open(metrics), _last_callback(metrics), _unknown_sends(metrics)


def _oldest_open(metrics: Mapping[str, float]) -> Measure:
    seconds = metrics.get(_NAMES["oldest_open"], math.nan)
    if math.isnan(seconds):
        return _unreadable("oldest_open", "s")
    text = f"oldest open message {seconds:.0f} s" if seconds else "no message is open"
    return Measure(Datum("oldest_open", seconds, "s"), text, seconds)


def _last_callback(metrics: Mapping[str, float]) -> Measure:
    at_s = metrics.get(_NAMES["last_callback"], 0.0)
    if not at_s:
        return Measure(Datum("last_callback", None, "s"), "no callback has come yet", math.inf)
    seconds = max(0.0, time.time() - at_s)
    text = f"last callback {seconds:.0f} s ago"
    return Measure(Datum("last_callback", seconds, "s"), text, seconds)


def _unknown_sends(metrics: Mapping[str, float]) -> Measure:
    count = metrics.get(_NAMES["unknown_sends"])
    if count is None:
        return _unreadable("unknown_sends", "")
    return Measure(Datum("unknown_sends", count), f"{count:.0f} unknown sends", count)


def _unreadable(label: str, unit: str) -> Measure:
    return Measure(Datum(label, None, unit), "the store cannot be read", math.nan)
