"""The runner finds a fault that was put there, keeps the input, and says where."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import run, target
from tests.fuzz.run import ENGINES, best_engine

PLANTED = "tests.fuzz.planted"
HERE = [engine for engine in ENGINES if engine in {"hypothesis", best_engine()}]


@pytest.mark.parametrize("engine", HERE)
def test_a_fault_is_found(tmp_path: Path, engine: str) -> None:
    """`make fuzz` ends with 1 and names a file, and what is in it breaks the target again."""
    command = [sys.executable, "-m", "tests.fuzz", f"--engine={engine}", "--seed=7"]
    command += ["--seconds-each=20", f"--finds={tmp_path}", PLANTED]
    done = subprocess.run(
        command, cwd=target.ROOT, capture_output=True, text=True, check=False, timeout=50
    )
    assert (1, "") == (done.returncode, done.stderr), done.stdout
    first, *rest = done.stdout.splitlines()
    assert first.startswith(f"fuzzing by {engine} ")
    assert "SEED=7" in first
    assert any(line.startswith("AssertionError") for line in rest)
    (find,) = tmp_path.joinpath(PLANTED).iterdir()
    assert f"FOUND {find}" in rest
    folder = tmp_path / "scratch"
    folder.mkdir()
    with target.load(PLANTED).opened(folder) as check, pytest.raises(AssertionError):
        check(find.read_bytes())


@pytest.mark.parametrize("engine", HERE)
def test_an_input_that_takes_for_ever(
    tmp_path: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An input from which the target does not come back is a find, too."""
    corpus = tmp_path / PLANTED
    corpus.mkdir()
    corpus.joinpath("seed").write_bytes(b"for ever")
    monkeypatch.setattr(target, "CORPORA", tmp_path)
    finds = tmp_path / "finds"
    result = run.run(PLANTED, engine=engine, seed=7, seconds=2, finds=finds, input_s_max=2)
    assert result.has_failed
    (find,) = result.finds
    assert b"for ever" == find.read_bytes()
    assert find.is_relative_to(finds)


def test_a_child_that_fails_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that tried nothing is no good run, though nothing was found."""
    monkeypatch.setitem(ENGINES, "broken", "tests.fuzz.nowhere")
    result = run.run(PLANTED, engine="broken", seed=1, seconds=1, finds=tmp_path)
    assert result.has_failed
    assert (0, ()) == (result.executions, result.finds)
    assert "No module named tests.fuzz.nowhere" in result.said
