"""Progress: on a terminal and only there, a few times a second, and gone in the end."""

from __future__ import annotations

import io
import sys

import pytest

from plivostatusd.ctl import progress as module
from plivostatusd.ctl.progress import Progress, progress


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


class Gone(Terminal):
    """A terminal that was closed."""

    def write(self, _: str) -> int:
        """Fail."""
        raise OSError(5, "Input/output error")


@pytest.mark.parametrize(
    ("terminals", "terms", "is_shown"),
    [
        ("out err", {}, True),
        ("err", {"beside_results": True}, True),
        ("out err", {"beside_results": True}, False),
        ("out", {}, False),
        ("out err", {"as_json": True}, False),
    ],
)
def test_where(
    monkeypatch: pytest.MonkeyPatch, terminals: str, terms: dict[str, bool], is_shown: bool
) -> None:
    """It is written on a terminal alone, not with --json, and not among results on one."""
    out, err = (Terminal() if each in terminals else io.StringIO() for each in ("out", "err"))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with progress(**terms) as shown:
        shown.show("50%")
    assert ("", "\r\x1b[K50%\r\x1b[K" if is_shown else "") == (out.getvalue(), err.getvalue())


def test_not_too_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows at once is not shown; without anything shown nothing is taken away."""
    terminal = Terminal()
    shown = Progress(terminal)
    shown.clear()
    assert "" == terminal.getvalue()
    for text in ("1%", "2%", "3%"):
        shown.show(text)
    assert "\r\x1b[K1%" == terminal.getvalue()
    monkeypatch.setattr(module, "EVERY_S", -1.0)
    shown = Progress(terminal)
    for text in ("4%", "5\x1b%"):
        shown.show(text)
    assert terminal.getvalue().endswith("\r\x1b[K4%\r\x1b[K5\\x1b%")


def test_a_terminal_that_is_gone() -> None:
    """A terminal that was closed ends no work."""
    shown = Progress(Gone())
    shown.show("1%")
    shown.clear()
