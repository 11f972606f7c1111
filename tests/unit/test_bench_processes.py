"""The processes that are measured: what they inherit, and what /proc says of them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from bench import processes
from bench.processes import Process, free_port, wait_for


def test_no_setting_of_pythons_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell in which byte code is not written does not make starts under measurement slower."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PLIVOSTATUSD_TRANSPORT", "tornado")
    handed_on = processes.environment()
    assert "PYTHONDONTWRITEBYTECODE" not in handed_on
    assert ("tornado", os.environ["PATH"]) == (
        handed_on["PLIVOSTATUSD_TRANSPORT"],
        handed_on["PATH"],
    )


def test_what_proc_says() -> None:
    """Memory and processor time are this process's own."""
    here = Process(os.getpid(), 0)
    before_s, used_s = here.cpu_s, time.process_time()
    while time.process_time() - used_s < 0.05:
        pass
    assert 0.03 <= here.cpu_s - before_s < 5
    assert 1 < here.resident_mib <= here.resident_peak_mib
    assert here.shared_mib > 1


def test_a_server_that_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run ends with what its log says."""
    monkeypatch.setattr(processes, "STARTS_WITHIN_S", 0.01)
    (tmp_path / "server.log").write_text("port taken")
    with pytest.raises(SystemExit, match=r"server\.log says:\nport taken"):
        wait_for(lambda: False, tmp_path / "server.log")


def test_ports_are_others_each_time() -> None:
    """No port is given twice, so that servers started beside each other do not meet."""
    assert 20 == len({free_port() for _ in range(20)})
