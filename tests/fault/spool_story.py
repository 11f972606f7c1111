"""
What the spool goes through in its life, so told that any call in it can fail or be the last.

Three processes one after the other: the first makes the folder, appends, is drained while it
grows, fills a file and begins another, and is killed in the middle of a write. The second finds
that, takes more, is drained, and stops. The third finds what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from plivostatusd.store.spool import Spool, SpoolUnavailable
from tests.fault.spool_calls import Calls, Fault, Killed

RESERVE_BYTES = 4096
FILE_BYTES = 2048


def payload(number: int, size: int = 100) -> bytes:
    """Make a record of its own; it ends with zeros, as a blank file does."""
    return f"callback {number:03} ".encode().ljust(size - 3, b"x") + b"\0\0\0"


@dataclass
class Story:
    """
    One run of it.

    `told` is what somebody relies on, `stored` what is safe elsewhere, and `gone` that of it whose
    file was let go of.
    """

    calls: Calls
    offered: list[bytes] = field(default_factory=list)
    told: list[bytes] = field(default_factory=list)
    stored: list[bytes] = field(default_factory=list)
    gone: list[bytes] = field(default_factory=list)
    refused: list[SpoolUnavailable] = field(default_factory=list)
    not_started: list[OSError] = field(default_factory=list)
    torn_bytes: int = 0

    def run(self) -> None:
        """Tell it from the beginning to the end."""
        with pytest.MonkeyPatch.context() as patch, self.calls.in_place():
            patch.setattr("plivostatusd.store.spool.FILE_BYTES_MAX", FILE_BYTES)
            for part in (self._first, self._second, self._third):
                spool = Spool(self.calls.folder, reserve_bytes=RESERVE_BYTES)
                try:
                    spool.open()
                except OSError as error:
                    self.not_started.append(error)
                else:
                    part(spool)
                self.calls.exit()

    def _first(self, spool: Spool) -> None:
        self._append(spool, [payload(1), payload(2)])
        self._append(spool, [payload(3)])
        self._drain(spool, payload(4))
        self._append(spool, [payload(5)])
        self._drain(spool)
        for number in range(10, 15):
            self._append(spool, [payload(number, 1500)])
        self.calls.kill_in_write = True
        with suppress(Killed):
            self._append(spool, [payload(20, 1500), payload(21)])
        self.calls.kill_in_write = False

    def _second(self, spool: Spool) -> None:
        self._append(spool, [payload(30)])
        self._drain(spool, payload(31))
        self._drain(spool)
        self._append(spool, [payload(32), payload(33)])
        spool.close()
        assert self.calls.open_descriptors == 0

    def _third(self, spool: Spool) -> None:
        self._append(spool, [payload(40)])
        self._drain(spool)
        self._append(spool, [payload(41)])

    def _append(self, spool: Spool, payloads: Sequence[bytes]) -> None:
        self.offered += payloads
        try:
            spool.append(payloads)
        except SpoolUnavailable as error:
            self.refused.append(error)
        else:
            self.told += payloads
            self.calls.told(payloads)

    def _drain(self, spool: Spool, meanwhile: bytes | None = None) -> None:
        """Drain; after the first section was read and before it is let go *meanwhile* comes."""
        with suppress(SpoolUnavailable):
            for section in spool.sections():
                self.stored += section.records
                self.torn_bytes += section.torn_bytes
                self.calls.stored(section.records)
                if meanwhile is not None:
                    self._append(spool, [meanwhile])
                    meanwhile = None
                with suppress(SpoolUnavailable):
                    spool.drained(section)
                    if not section.path.exists():
                        self.gone += section.records
                        self.calls.gone(section.records)


def told_of(folder: Path, fault: Fault | None = None) -> Story:
    """Tell the story in *folder*, with *fault* in it."""
    story = Story(Calls(folder, fault))
    story.run()
    return story


def left_in(folder: Path) -> list[bytes]:
    """Return what a new process finds in *folder*, in order."""
    with Calls(folder).in_place():
        spool = Spool(folder, reserve_bytes=RESERVE_BYTES)
        spool.open()
        return [record for section in spool.sections() for record in section.records]


def faults_in(story: Story, left: Sequence[bytes]) -> list[str]:
    """Return what was promised and not kept: nothing, that is to be hoped."""
    faults = [f"lost: {each[:12]!r}" for each in story.told if each not in {*story.stored, *left}]
    unheard_of = {*story.stored, *left} - {*story.offered}
    faults += [f"never offered: {each[:40]!r}" for each in unheard_of]
    places = [story.offered.index(each) for each in dict.fromkeys(left) if each in story.offered]
    if places != sorted(places):
        faults.append(f"out of order: {places}")
    return faults
