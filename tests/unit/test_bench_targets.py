"""The bench's verdicts: each target, and whether what was found reaches it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench import targets
from bench.at_rest import Rest
from bench.results import BARE, Results
from bench.servers import OURS
from tests.unit.bench_found import latency, overload, rates, results


def verdicts(found: Results) -> dict[str, tuple[str, str]]:
    """Each target's name, with what was found and the verdict."""
    return {what: (said, verdict) for what, _target, said, verdict in targets.rows(found)}


@pytest.mark.parametrize(
    ("ours", "others", "said", "verdict"),
    [
        ([3_000.0] * 3, [1_000.0] * 3, "3.00 ×", "met"),  # noqa: RUF001 - times, as on the page
        ([2_999.0] * 3, [1_000.0] * 3, "3.00 ×", "**missed**"),  # noqa: RUF001 - as above
        # Each round's own ratio counts (4, 2, 5), not the ratio of the medians (8,000 to 1,000).
        ([4_000.0, 8_000.0, 10_000.0], [1_000.0, 4_000.0, 2_000.0], "4.00 ×", "met"),  # noqa: RUF001 - as above
    ],
)
def test_a_ratio(ours: list[float], others: list[float], said: str, verdict: str) -> None:
    """The median of the rounds' own ratios is held against the target, before it is rounded."""
    found = Results({}, {BARE: rates(BARE, ours, others)})
    assert (said, verdict) == verdicts(found)["rate against Tornado ok, new messages"]


def test_only_what_was_measured() -> None:
    """A part that was not asked for has no verdict."""
    assert {} == verdicts(Results({}))
    assert all(
        "new messages" in name for name in verdicts(Results({}, {BARE: results().rates[BARE]}))
    )


def test_latency() -> None:
    """Ours is held against a figure, and against each peer's."""
    said = verdicts(
        Results({}, latency={OURS: latency(20.0), "a": latency(21.0), "b": latency(20.0)})
    )
    assert ("20.0 ms", "met") == said["p99 at half the top rate"]
    assert "met" == said["the same, against a"][1]
    assert "**missed**" == said["the same, against b"][1]


@pytest.mark.parametrize(
    ("recovered_s", "said", "verdict"),
    [
        (2.0, "2.0 s", "met"),
        (2.1, "2.1 s", "**missed**"),
        (None, "not while watched", "**missed**"),
    ],
)
def test_recovery(recovered_s: float | None, said: str, verdict: str) -> None:
    """A server that was not well again while it was watched has missed it."""
    found = Results({}, overload={OURS: overload(80.0, recovered_s)})
    assert (said, verdict) == verdicts(found)["well again after that"]
    assert ("80 MiB", "met") == verdicts(found)["memory at twice the top rate"]


def test_sends() -> None:
    """Callbacks' times beside sends are told as a multiple of those without."""
    said = verdicts(results())
    assert ("1.5 ×", "met") == said["callbacks' p99 beside sends, single"]  # noqa: RUF001 - times
    assert ("2.0 ×", "**missed**") == said["callbacks' p99 beside sends, in lists"]  # noqa: RUF001 - times
    assert ("20%", "met") == said["60 API calls a second"]


def test_rest() -> None:
    """Of many starts the median counts; idle processor time is judged as it is shown."""
    rest = Rest([0.5, 0.4, 0.3], [45.1], 54.0, [0.0801], 0.0004, 2.1)
    said = verdicts(replace(results(), rest=rest))
    assert ("0.40 s", "met") == said["start to ready"]
    assert ("45.1 MiB", "**missed**") == said["memory, idle"]
    assert ("80 ms", "**missed**") == said["`plivostatusctl show`"]
    assert ("2.1/s", "**missed**") == said["wake-ups, idle"]
    assert ("0.0%", "met") == said["processor time, idle"]
