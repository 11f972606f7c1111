"""What is made of a burst: tenths of seconds, and when a server was well again."""

from __future__ import annotations

import pytest

from bench.openloop import Answers, schedule
from bench.overload import AFTER_S, BURST_S, _judged


def burst(well_at_s: float) -> Answers:
    """Callbacks as they come to a server that sheds each second one until then."""
    due_s = schedule((200.0, BURST_S), (100.0, AFTER_S))
    ill = [number % 2 == 1 and at_s < well_at_s for number, at_s in enumerate(due_s)]
    status = [503 if is_ill else 200 for is_ill in ill]
    return Answers(due_s, [0.02] * len(due_s), status, [0.001] * len(due_s))


@pytest.mark.parametrize(
    ("well_at_s", "recovered_s"),
    [(1.0, 0.0), (BURST_S, 0.0), (BURST_S + 0.65, 0.7), (BURST_S + AFTER_S, None)],
)
def test_recovery(well_at_s: float, recovered_s: float | None) -> None:
    """Recovery is counted from the burst's end to the end of the last ill tenth of a second."""
    found = _judged(200.0, burst(well_at_s), 70.0)
    assert (pytest.approx(recovered_s) if recovered_s else recovered_s) == found.recovered_s


def test_the_burst_alone_is_counted() -> None:
    """What came after the burst is in the plot, and in no other figure."""
    found = _judged(200.0, burst(BURST_S), 70.0)
    assert {"200": 500, "503": 500} == found.counts
    assert (20.0, 20.0) == pytest.approx((found.p50_ms, found.p99_ms))
    assert round((BURST_S + AFTER_S) * 10) == len(found.bins)
    assert (20, 10) == (found.bins[0].offered, found.bins[0].ok)
    assert (10, 10) == (found.bins[-1].offered, found.bins[-1].ok)


def test_late_answers_are_ill() -> None:
    """A server that answers all of them, late, is not well."""
    due_s = schedule((200.0, BURST_S), (100.0, AFTER_S))
    found = _judged(200.0, Answers(due_s, [0.5] * len(due_s), [200] * len(due_s), due_s), 70.0)
    assert found.recovered_s is None
