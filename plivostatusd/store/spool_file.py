"""
One file of the spool: how records are spelt in it, how it is written, and how it is read.

    PREFIX, then per record:  length (4 bytes)  CRC-32 of length and payload (4 bytes)  payload

A file ends where nothing but zeros follows (allocated, never written) or where it ends. Anything
else is a torn tail: what a crash left of records that nobody was told are kept. `File` is for
`Spool` alone; `read` is for whoever wants to look.
"""

from __future__ import annotations

import errno
import os
import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PREFIX: Final = b"plivostatusd spool 1\n"
RECORD_BYTES_MAX: Final = 16 * 1024 * 1024
"""Above the largest `callbacks.body_max`; a length beyond it is damage, not a record."""

_HEAD: Final = struct.Struct(">II")
_READ_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Section:
    """
    What one file holds, or a piece of it, in the order in which it was written.

    `whole_bytes` is where the whole records end, `torn_bytes` how much of something else is behind
    them, `blank_bytes` how many zeros follow. While `is_last` is false another piece follows.
    """

    path: Path
    records: tuple[bytes, ...]
    torn_bytes: int
    whole_bytes: int
    blank_bytes: int
    is_last: bool = True


class File:
    """A file being written. Once anything has failed on it, it is good for `close` alone."""

    def __init__(self, name: str, descriptor: int) -> None:
        self.name = name
        self.length = 0
        self._descriptor = descriptor

    def write(self, frames: bytes) -> None:
        """Add *frames*; on return they are on disk, under a name that somebody can find."""
        rest = memoryview(frames if self.length else PREFIX + frames)
        length = self.length
        while rest:
            written = os.pwrite(self._descriptor, rest, length)
            rest = rest[written:]
            length += written
        os.fdatasync(self._descriptor)
        if not os.fstat(self._descriptor).st_nlink:
            raise FileNotFoundError(errno.ENOENT, "deleted while it was written", self.name)
        self.length = length

    def close(self) -> None:
        """Close it, less what nobody was told is kept: half a record, blocks never written."""
        with suppress(OSError):
            os.ftruncate(self._descriptor, self.length)
        close(self._descriptor)


def close(descriptor: int) -> None:
    """Close *descriptor*: Linux does even when it reports an error, and all is synced by now."""
    with suppress(OSError):
        os.close(descriptor)


def frame(payload: bytes) -> bytes:
    """Spell one record. Raises `ValueError` for one that `read` would not take."""
    if not 0 < len(payload) <= RECORD_BYTES_MAX:
        raise ValueError(f"a record of {len(payload)} bytes: want 1 to {RECORD_BYTES_MAX}")
    return _HEAD.pack(len(payload), _checksum(payload)) + payload


def read(path: Path, at: int = 0, *, bytes_max: int | None = None) -> Section:
    """
    Read one file from *at* on, where a record begins: all of it, or about *bytes_max* bytes.

    Raises `OSError` alone, whatever the file holds.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        content = _content(descriptor, at, bytes_max)
        records, length = _records(content, is_begin=at == 0)
        may_go_on = bytes_max is not None and len(content) == bytes_max
        need = _missing(content, length) if may_go_on and (at or length) else 0
        if need and records:
            return Section(path, records, 0, at + length, 0, is_last=False)
        if need:
            return read(path, at, bytes_max=length + need)
        torn_bytes, blank_bytes = _tail(descriptor, at + length)
    finally:
        close(descriptor)
    return Section(path, records, torn_bytes, at + length, blank_bytes)


def _content(descriptor: int, at: int, bytes_max: int | None) -> bytes:
    content = bytearray()
    while bytes_max is None or len(content) < bytes_max:
        room = _READ_BYTES if bytes_max is None else min(_READ_BYTES, bytes_max - len(content))
        chunk = os.pread(descriptor, room, at + len(content))
        if not chunk:
            break
        content += chunk
    return bytes(content)


def _tail(descriptor: int, at: int) -> tuple[int, int]:
    """Say how many bytes stand behind *at* up to the last that is not zero, and how many after."""
    torn_bytes = size = 0
    while chunk := os.pread(descriptor, _READ_BYTES, at + size):
        if whole := len(chunk.rstrip(b"\0")):
            torn_bytes = size + whole
        size += len(chunk)
    return torn_bytes, size - torn_bytes


def _records(content: bytes, *, is_begin: bool) -> tuple[tuple[bytes, ...], int]:
    """Return the whole records that *content* begins with, and where they end."""
    if is_begin and not content.startswith(PREFIX):
        return (), 0
    at = len(PREFIX) if is_begin else 0
    records = []
    while payload := _payload(content, at):
        records.append(payload)
        at += _HEAD.size + len(payload)
    return tuple(records), at


def _missing(content: bytes, at: int) -> int:
    """Say how long the record at *at* is when it may go on behind *content*; else 0."""
    if len(content) - at < _HEAD.size:
        return _HEAD.size
    length, _ = _HEAD.unpack_from(content, at)
    size = _HEAD.size + int(length)
    return size if 0 < length <= RECORD_BYTES_MAX and len(content) - at < size else 0


def _payload(content: bytes, at: int) -> bytes | None:
    """Return the record at *at*, or None when there is no whole one."""
    if len(content) - at < _HEAD.size:
        return None
    length, checksum = _HEAD.unpack_from(content, at)
    if not 0 < length <= RECORD_BYTES_MAX:
        return None
    payload = content[at + _HEAD.size : at + _HEAD.size + length]
    return payload if len(payload) == length and checksum == _checksum(payload) else None


def _checksum(payload: bytes) -> int:
    # The length is in it: a bit flipped there would else be found only by luck.
    return zlib.crc32(payload, zlib.crc32(len(payload).to_bytes(4, "big")))
