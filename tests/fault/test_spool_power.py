"""The power fails between any two system calls of the spool."""

from __future__ import annotations

import errno
import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from plivostatusd.store.spool import Spool
from tests.fault.spool_calls import FOLDER, HOWS, PARENT, Calls, Fault, How, Op
from tests.fault.spool_disk import Disk, Files, lay_out
from tests.fault.spool_story import RESERVE_BYTES, Story, faults_in, left_in, payload, told_of
from tests.meta.source import FIGURES


def known_at(story: Story, tape: Sequence[Op]) -> Story:
    """Return who had been told what when the tape ends."""
    known = Story(story.calls, offered=story.offered)
    for op in tape:
        if op.kind == "told":
            known.told += op.payloads
        elif op.kind == "stored":
            known.stored += op.payloads
        elif op.kind == "gone":
            known.gone += op.payloads
    return known


def cuts(story: Story, place: Path, chance: random.Random, at: Sequence[int]) -> Iterator[str]:
    """Cut the power at each of *at*, look at what is left, and give what is wrong about it."""
    for cut in at:
        tape = story.calls.tape[:cut]
        known = known_at(story, tape)
        for files in Disk(tape).after_power_cuts(chance):
            yield from _look(files, known, place, f"after {tape[-1:]}")


def _look(files: Files | None, known: Story, place: Path, when: str) -> Iterator[str]:
    lay_out(files, place)
    left = left_in(place)
    again = left_in(place)
    shutil.rmtree(place)
    yield ""
    yield from (f"{when}: {fault}" for fault in faults_in(known, left))
    if known.calls.fault is None:
        yield from (f"{when}: given again: {each[:12]!r}" for each in left if each in known.gone)
    if left != again:
        yield f"{when}: looking at it changes it"


def test_tape_is_whole(tmp_path: Path) -> None:
    """The tape misses nothing: played to its end it gives the folder, name by name."""
    story = told_of(tmp_path / "spool")
    files = {path.name: path.read_bytes() for path in (tmp_path / "spool").iterdir()}
    assert files == Disk(story.calls.tape).files()


def test_disk_forgets(tmp_path: Path, chance: random.Random) -> None:
    """A spool that did not sync its files would be found out here, and so one without its names."""
    story = told_of(tmp_path / "spool")
    whole = range(len(story.calls.tape) + 1)
    files, folders = range(1, 1000), (FOLDER, PARENT)
    for nodes in (files, folders):
        tape = [op for op in story.calls.tape if (op.kind, op.node in nodes) != ("sync", True)]
        careless = Story(Calls(tmp_path, tape=tape), offered=story.offered)
        assert any(cuts(careless, tmp_path / "left", chance, whole))


def test_every_cut(tmp_path: Path, chance: random.Random, request: pytest.FixtureRequest) -> None:
    """Wherever the power fails, nothing is lost that somebody was told is kept."""
    story = told_of(tmp_path / "spool")
    points = range(len(story.calls.tape) + 1)
    found = list(cuts(story, tmp_path / "left", chance, points))
    assert [] == [fault for fault in found if fault]
    request.config.stash.setdefault(FIGURES, []).append(
        f"spool: power cut at {len(points)} points, {found.count('')} ways to be left"
    )


@pytest.mark.parametrize("how", HOWS)
def test_cut_after_a_fault(how: How, tmp_path: Path, chance: random.Random) -> None:
    """A call fails, and later the power: still nothing is lost that somebody was told is kept."""
    calls = told_of(tmp_path / "whole").calls.count
    for nth in range(chance.randint(1, 4), calls + 1, 4):
        story = told_of(tmp_path / "spool", Fault(nth, errno.EIO, how))
        point = chance.randint(0, len(story.calls.tape))
        found = list(cuts(story, tmp_path / "left", chance, [point]))
        assert [] == [fault for fault in found if fault], f"call {nth} broken"
        shutil.rmtree(tmp_path / "spool", ignore_errors=True)


def test_reserve_is_safe(tmp_path: Path, chance: random.Random) -> None:
    """Once the spool is open its reserve outlives a power cut, whole."""
    with Calls(tmp_path / "spool").in_place() as calls:
        spool = Spool(tmp_path / "spool", reserve_bytes=RESERVE_BYTES)
        spool.open()
    for files in Disk(calls.tape).after_power_cuts(chance):
        assert files is not None
        assert bytes(RESERVE_BYTES) == files["reserve"]


def test_spool_goes_on(tmp_path: Path, chance: random.Random) -> None:
    """Whatever a power cut left, the next process takes and drains records as ever."""
    story = told_of(tmp_path / "whole")
    for cut in range(0, len(story.calls.tape), 5):
        files = chance.choice(list(Disk(story.calls.tape[:cut]).after_power_cuts(chance)))
        lay_out(files, tmp_path / "spool")
        with Calls(tmp_path / "spool").in_place():
            spool = Spool(tmp_path / "spool", reserve_bytes=RESERVE_BYTES)
            spool.open()
            spool.append([payload(99)])
            sections = list(spool.sections())
            assert payload(99) == sections[-1].records[-1]
            for section in sections:
                spool.drained(section)
            assert (0, []) == (spool.records, list(spool.sections()))
        shutil.rmtree(tmp_path / "spool")
