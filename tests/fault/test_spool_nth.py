"""Every system call of the spool fails in turn: once, and from then on."""

from __future__ import annotations

import errno
import itertools
import shutil
from pathlib import Path

import pytest

from tests.fault.spool_calls import Fault, How
from tests.fault.spool_story import faults_in, left_in, told_of
from tests.meta.source import FIGURES

CASES: list[tuple[int, How]] = [
    (errno.EIO, "the next of its kind too"),
    *((code, "once") for code in (errno.ENOSPC, errno.EIO, errno.EROFS)),
    *((code, "all from then on") for code in (errno.ENOSPC, errno.EIO, errno.EROFS)),
]


@pytest.mark.parametrize(
    ("code", "how"), CASES, ids=[f"{errno.errorcode[code]}, {how}" for code, how in CASES]
)
def test_every_call(code: int, how: How, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Whatever call fails, all that was said to be kept is in the store or found in the spool."""
    folder = tmp_path / "spool"
    for nth in itertools.count(1):
        story = told_of(folder, Fault(nth, code, how))
        if not story.calls.broken:
            break
        place = f"call {nth}, {errno.errorcode[code]}, {how}"
        assert [] == faults_in(story, left_in(folder)), place
        assert how != "once" or not story.refused, (
            f"{place}: one failure kept the spool from taking a record"
        )
        shutil.rmtree(folder, ignore_errors=True)
    said = f"spool: {nth - 1} points broken with {errno.errorcode[code]}"
    figures = request.config.stash.setdefault(FIGURES, [])
    figures.append(f"{said}, {how}")


def test_nothing_broken(tmp_path: Path) -> None:
    """The story told without a fault is told whole: all is taken, the torn tail is seen."""
    story = told_of(tmp_path / "spool")
    assert [] == story.refused + story.not_started
    assert story.torn_bytes > 0
    assert len(story.offered) - 2 == len(story.told)
    assert [story.offered[-1]] == left_in(tmp_path / "spool")
    assert sorted(story.told[:-1]) == sorted(story.stored)
    assert 1 == len(list((tmp_path / "spool").glob("*.torn")))
