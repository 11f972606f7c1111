"""Rounds in turn: rates, ratios, and an end of the run where not all was answered as it should."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from bench.processes import Process
from bench.results import BARE
from bench.rounds import Played, play
from bench.servers import OURS
from tests.unit.bench_found import rates


def test_rates() -> None:
    """A rate counts answers, a ratio is one round's, and the top is the median."""
    found = rates(BARE, [4_000.0, 9_000.0, 5_000.0], [1_000.0, 3_000.0, 2_000.0])
    assert [4.0, 3.0, 2.5] == pytest.approx(found.ratios(OURS, "Fastify, log"))
    assert pytest.approx(5_000.0) == found.top(OURS)
    assert pytest.approx(200.0) == Played(1_000, 1_000, 1.0, 1.0, 1.0, 0.2).cpu_us


def said(monkeypatch: pytest.MonkeyPatch, answered: int, ok: int, seconds: float = 0.5) -> Played:
    """Play a file with a load tool that says so."""
    line = {"answered": answered, "ok": ok, "broken": 0, "seconds": seconds}
    ended = subprocess.CompletedProcess([], 0, json.dumps({**line, "p50_ms": 1.0, "p99_ms": 2.0}))
    monkeypatch.setattr(subprocess, "run", lambda *_words, **_options: ended)
    return play("somebody", Process(os.getpid(), 1), Path("requests"))


def test_all_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the load tool says is what is kept, with the server's processor time."""
    played = said(monkeypatch, 100, 100)
    assert (100, 100, 0.5, 200.0) == (played.answered, played.ok, played.seconds, played.per_second)
    assert played.cpu_s >= 0


@pytest.mark.parametrize(("ok", "seconds"), [(99, 0.5), (100, 0.0)])
def test_not_all_answered(monkeypatch: pytest.MonkeyPatch, ok: int, seconds: float) -> None:
    """One other answer, or none in time, ends the run: its rate would say nothing."""
    with pytest.raises(SystemExit, match="somebody did not answer every request with 200"):
        said(monkeypatch, 100, ok, seconds)
