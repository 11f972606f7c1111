"""The spool's reader: whatever a file holds, it gives whole records and says what is left over."""

from __future__ import annotations

from itertools import accumulate, count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivostatusd.store.spool import Section, Spool, read
from plivostatusd.store.spool_file import PREFIX, frame

RECORDS = st.lists(st.one_of(st.binary(min_size=1, max_size=40), st.just(b"\0" * 9)), max_size=6)
LENGTHS = st.sampled_from([0, 1, 8, 255, 2**24, 2**24 + 1, 2**31, 2**32 - 1])
HEADS = st.builds(lambda length, rest: length.to_bytes(4, "big") + rest, LENGTHS, st.binary())
GARBAGE = st.one_of(st.binary(max_size=80), HEADS)
BLANKS = st.integers(0, 5000).map(bytes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give one folder to all examples."""
    return tmp_path_factory.mktemp("spool")


def section_of(folder: Path, content: bytes) -> Section:
    """Read a file that holds *content*; whatever it is, all of it is accounted for."""
    path = folder / "00000001.spool"
    path.write_bytes(content)
    section = read(path)
    frames = b"".join(map(frame, section.records))
    assert content.startswith(PREFIX + frames) or not frames
    assert len(content) == section.whole_bytes + section.torn_bytes + section.blank_bytes
    assert content.endswith(bytes(section.blank_bytes))
    return section


def ends_of(records: list[bytes]) -> list[int]:
    """Return where each record ends in the file."""
    return list(accumulate((len(frame(each)) for each in records), initial=len(PREFIX)))[1:]


@given(content=st.one_of(GARBAGE, GARBAGE.map(lambda rest: PREFIX + rest)))
def test_any_bytes(folder: Path, content: bytes) -> None:
    """Any bytes at all give a section; nothing is raised."""
    section_of(folder, content)


@given(records=RECORDS, blank=BLANKS)
def test_whole(folder: Path, records: list[bytes], blank: bytes) -> None:
    """What was written is read, in order, and blank space behind it is no damage."""
    section = section_of(folder, PREFIX + b"".join(map(frame, records)) + blank)
    assert (records, 0) == (list(section.records), section.torn_bytes)


@given(records=RECORDS, garbage=GARBAGE, blank=BLANKS)
def test_garbage(folder: Path, records: list[bytes], garbage: bytes, blank: bytes) -> None:
    """Garbage behind whole records costs none of them, and is told unless it is blank."""
    section = section_of(folder, PREFIX + b"".join(map(frame, records)) + garbage + blank)
    assert (records, len(garbage.rstrip(b"\0"))) == (list(section.records), section.torn_bytes)


@given(records=RECORDS, data=st.data())
def test_cut(folder: Path, records: list[bytes], data: st.DataObject) -> None:
    """Cut anywhere, a file gives the records that are whole, and tells of what is not."""
    content = PREFIX + b"".join(map(frame, records))
    cut = data.draw(st.integers(0, len(content)))
    section = section_of(folder, content[:cut])
    whole = [end for end in ends_of(records) if end <= cut]
    assert records[: len(whole)] == list(section.records)
    left = content[max([len(PREFIX), *whole]) if cut >= len(PREFIX) else 0 : cut]
    assert len(left.rstrip(b"\0")) == section.torn_bytes


@given(records=RECORDS, blank=BLANKS, data=st.data())
def test_bit_flipped(folder: Path, records: list[bytes], blank: bytes, data: st.DataObject) -> None:
    """With any one bit flipped a file gives the records before it and no other, and tells."""
    content = bytearray(PREFIX + b"".join(map(frame, records)) + blank)
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    section = section_of(folder, bytes(content))
    before = sum(end <= at for end in ends_of(records)) if at >= len(PREFIX) else 0
    assert records[:before] == list(section.records)
    assert section.torn_bytes > 0


@given(contents=st.lists(st.tuples(RECORDS, GARBAGE, st.booleans()), max_size=4))
def test_drained(
    tmp_path_factory: pytest.TempPathFactory, contents: list[tuple[list[bytes], bytes, bool]]
) -> None:
    """A spool of any files is drained of its whole records; no byte that is none is lost."""
    folder = tmp_path_factory.mktemp("spool")
    torn = set()
    for number, (records, garbage, has_prefix) in zip(count(1), contents, strict=False):
        start = PREFIX if has_prefix else b""
        content = start + b"".join(map(frame, records)) + garbage
        (folder / f"{number:08}.spool").write_bytes(content)
        if read(folder / f"{number:08}.spool").torn_bytes:
            torn.add(content)
    spool = Spool(folder, reserve_bytes=0)
    spool.open()
    sections = list(spool.sections())
    aside = {spool.drained(section) for section in sections} - {None}
    assert (0, []) == (spool.records, list(spool.sections()))
    assert torn == {path.read_bytes() for path in aside if path is not None}
    assert {*aside, folder / "reserve"} == set(folder.iterdir())
    whole = [each for records, _, has_prefix in contents if has_prefix for each in records]
    assert whole == [record for section in sections for record in section.records]
    spool.close()
