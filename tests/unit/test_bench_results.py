"""What a run of the bench found, in a file: the page can be made from it again."""

from __future__ import annotations

from pathlib import Path

from bench.page import write
from bench.results import Results
from tests.unit.bench_found import results


def test_there_and_back(tmp_path: Path) -> None:
    """What is read again makes the very same page, with every part of it."""
    results().write(tmp_path / "build" / "bench.json")
    read = Results.read(tmp_path / "build" / "bench.json")
    write(results(), tmp_path / "first.md")
    write(read, tmp_path / "again.md")
    assert (tmp_path / "first.md").read_text() == (tmp_path / "again.md").read_text()


def test_a_run_of_parts(tmp_path: Path) -> None:
    """Parts that were not asked for stay away."""
    Results({"load": "0.1"}).write(tmp_path / "bench.json")
    assert Results({"load": "0.1"}) == Results.read(tmp_path / "bench.json")
