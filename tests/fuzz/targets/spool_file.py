"""
The spool's reader: whole, checksummed records come out, in order, and nothing else does.

An input is read in two ways: as a file, and as records with a damage done to their file. In the
second, a line `=====` stands between records; the last part says where the damage is (2 bytes) and
how many bytes it takes away (2 bytes); what follows is put in their place.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Final

from plivostatusd.store import spool_file
from plivostatusd.store.spool_file import PREFIX, RECORD_BYTES_MAX, Section, frame

BETWEEN: Final = b"\n=====\n"
WORDS: Final = (
    PREFIX,
    BETWEEN,
    frame(b"a"),
    frame(b"bc"),
    frame(b"\0"),
    frame(b"a")[:7],
    frame(b"bc")[4:],
    b"\0\0\0\0",
    b"\0\0\0\1",
    b"\xff\xff\xff\xff",
    b"\1\0\0\0",
    b"\1\0\0\1",
)


@contextmanager
def opened(folder: Path) -> Iterator[Callable[[bytes], None]]:
    """Give the target."""
    yield partial(_check, folder / "00000001.spool")


def _check(path: Path, content: bytes) -> None:
    _read(path, content)
    _check_damage(path, *content.split(BETWEEN))


def _read(path: Path, content: bytes) -> Section:
    """Read a file of *content*: what comes out is what is whole, and every byte is told of."""
    path.write_bytes(content)
    section = spool_file.read(path)
    records, end = _walk(content)
    assert records == list(section.records)
    assert end == section.whole_bytes
    rest = content[end:]
    assert len(rest) == section.torn_bytes + section.blank_bytes
    assert rest[section.torn_bytes :] == bytes(section.blank_bytes)
    assert not rest[: section.torn_bytes].endswith(b"\0")
    return section


def _check_damage(path: Path, *parts: bytes) -> None:
    """Say that no record before the damage is lost, and none behind it is made up."""
    *records, damage = parts
    records = [record for record in records if record]
    if len(damage) < 4:
        return
    content = PREFIX + b"".join(map(frame, records))
    ends = list(accumulate((len(frame(each)) for each in records), initial=len(PREFIX)))[1:]
    at, taken = struct.unpack(">HH", damage[:4])
    at %= len(content) + 1
    section = _read(path, content[:at] + damage[4:] + content[at + taken :])
    before = sum(end <= at for end in ends)
    if at >= len(PREFIX):
        assert records[:before] == list(section.records[:before])
    if taken or len(damage) > 4:
        return
    assert (records, 0) == (list(section.records), section.torn_bytes)


def _walk(content: bytes) -> tuple[list[bytes], int]:
    """Read as the format is written down; the records, and where the last one ends."""
    records: list[bytes] = []
    at = len(PREFIX)
    if content[:at] != PREFIX:
        return records, 0
    while at + 8 <= len(content):
        length, checksum = struct.unpack(">II", content[at : at + 8])
        payload = content[at + 8 : at + 8 + length]
        is_whole = 1 <= len(payload) == length <= RECORD_BYTES_MAX
        if not is_whole or zlib.crc32(content[at : at + 4] + payload) != checksum:
            break
        records.append(payload)
        at += 8 + length
    return records, at
