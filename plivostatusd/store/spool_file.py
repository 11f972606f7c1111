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
    What one file holds, in the order in which it was written.

    `whole_bytes` is where the whole records end, `torn_bytes` how much of something else is behind
    them, `blank_bytes` how many zeros follow.
    """

    path: Path
    records: tuple[bytes, ...]
    torn_bytes: int
    whole_bytes: int
    blank_bytes: int


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


def read(path: Path) -> Section:
    """Read one file, whatever it holds. Raises `OSError` alone."""
    content = _content(path)
    records = []
    at = 0
    if content.startswith(PREFIX):
        at = len(PREFIX)
        while payload := _payload(content, at):
            records.append(payload)
            at += _HEAD.size + len(payload)
    torn_bytes = len(content[at:].rstrip(b"\0"))
    return Section(
        path,
        tuple(records),
        torn_bytes=torn_bytes,
        whole_bytes=at,
        blank_bytes=len(content) - at - torn_bytes,
    )


def _content(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    content = bytearray()
    try:
        while chunk := os.read(descriptor, _READ_BYTES):
            content += chunk
    finally:
        close(descriptor)
    return bytes(content)


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
