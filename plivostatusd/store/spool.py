"""
The spool: where callbacks go while SQLite cannot take them.

Append-only files of checksummed records in a folder beside the store. `Spool.append` returns once
the records are on disk (fdatasync), or raises; nothing else is ever said to be kept. A reserve,
allocated ahead and used as the next file, is what makes that possible on a full disk, and it is
held open, so that it takes no new descriptor either. Nothing here knows what a record means.

    reserve          blank; it is given its number before anything is written into it
    00000007.spool   records; written by one process, and never again once anything failed on it
    00000008.torn    put aside: behind its whole records it has bytes that do not check out
    0123456789abcdef.bad  one whole record that the store does not take

No record is deleted before `drained` says that it is committed elsewhere, and no torn tail that a
crash left ever is; what a failed `append` left is cut off by the process that saw it fail. Other
names in the folder are left alone. Numbers begin anew after 99999999; the order between files is
then lost, and only that.

What is not promised. A disk that says it has written and has not can lose anything, and one that
tears a sector when it rewrites it can lose the record before the one being written. In a file that
rots, the records behind the damage are put aside with it. File systems that copy on write (btrfs,
ZFS) may need free space even for blocks that are allocated: there the reserve is a hope. A record
may be given twice: draining it must be idempotent. Two processes on one folder are kept apart by
the daemon's lock, not here.

All methods block; the owner calls them on one thread. `records` and `held_bytes` may be looked at
from any.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from stat import S_ISREG
from typing import Final

from plivostatusd.domain.errors import StartRefused
from plivostatusd.store.spool_file import RECORD_BYTES_MAX, File, Section, close, frame, read

__all__ = ["RECORD_BYTES_MAX", "Section", "Spool", "SpoolUnavailable", "read", "spool_refused"]

FILE_BYTES_MAX: Final = 4 * 1024 * 1024
"""A file this long, and as long as the reserve, is followed by another."""

PIECE_BYTES: Final = 1024 * 1024
"""How much of a file is read at once: a section is that long, or one record."""

NUMBER_MAX: Final = 99_999_999
RESERVE_BYTES_MIN: Final = 4096
RESERVE_NAME: Final = "reserve"

_PROBE_NAME: Final = "probe"
_SUFFIX: Final = ".spool"
_TORN_SUFFIX: Final = ".torn"
_BAD_SUFFIX: Final = ".bad"
_NAME: Final = re.compile(r"[0-9]{8}\.spool")
_WRITE: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_CHUNK_BYTES: Final = 1024 * 1024


def spool_refused(folder: Path, error: OSError) -> StartRefused:
    """Say why the spool in *folder* cannot be opened, and what to type."""
    place = error.filename or folder
    if folder.exists() and not folder.is_dir():
        return StartRefused(f"{folder} has to be a folder", command=f"mv {folder} {folder}.aside")
    commands = {
        errno.EACCES: f"chown -R --reference={folder.parent} {folder}; chmod -R u+rwX {folder}",
        errno.EROFS: f"mount -o remount,rw $(findmnt -no TARGET -T {folder})",
    }
    usual = f"ls -ld {folder.parent} {place}; df -h {folder.parent}"
    command = commands.get(error.errno or 0, usual)
    return StartRefused(f"The spool {place} cannot be written: {error.strerror}", command=command)


class SpoolUnavailable(OSError):
    """The spool could not do it: what was to be kept is not known to be on disk."""


class Spool:
    """
    The files of one folder.

    `records` counts those that are not drained yet; it is at least 1 while there is a file that
    `sections` would give. `unreadable` names files that the last look at them could not read.
    `held_bytes` is how much of the reserve is there: none while it is being written into.
    """

    def __init__(self, folder: Path, *, reserve_bytes: int) -> None:
        self.folder = folder
        self.reserve_bytes = reserve_bytes
        self.records = 0
        self.unreadable: set[str] = set()
        self.held_bytes = 0
        self._folder: int | None = None
        self._reserve: int | None = None
        self._file: File | None = None
        self._number = 0
        self._waiting: dict[str, int] = {}  # file name -> records in it that are to be drained
        self._drained: dict[str, int] = {}  # file name -> where those begin

    def open(self) -> None:
        """
        Make the folder, count what an earlier process left, and hold the reserve.

        A disk too full for the reserve is no error: `held_bytes` says how much of it there is.

        Raises:
            OSError: the folder cannot be made, read or written; the error names the path.

        """
        try:
            folder = self._hold_folder()
            _probe(folder)
            self._take_stock(folder)
        except OSError as error:
            self.close()
            name = str(error.filename or "")
            path = name if os.sep in name else str(self.folder)
            raise OSError(error.errno, error.strerror, path) from error
        self.renew_reserve()

    def close(self) -> None:
        """Let go of all that is held open; what was appended is on disk."""
        self._leave_file()
        for descriptor in (self._reserve, self._folder):
            if descriptor is not None:
                close(descriptor)
        self._reserve = self._folder = None
        self.held_bytes = 0

    def append(self, payloads: Sequence[bytes]) -> None:
        """
        Keep *payloads*; on return they are on disk.

        A file on which anything failed is never written again (a second fsync may succeed without
        the data): they are tried once more, from the folder on, in a new one.

        Raises:
            SpoolUnavailable: nobody may be told that they are kept; some may turn up all the same.
            ValueError: one is empty, or longer than `RECORD_BYTES_MAX`; nothing was written.

        """
        frames = b"".join(frame(payload) for payload in payloads)
        if not frames:
            return
        try:
            name = self._write(frames)
        except OSError:
            self._abandon()
            try:
                name = self._write(frames)
            except OSError as error:
                self._abandon()
                raise self._unavailable(error) from error
        self._waiting[name] = self._waiting.get(name, 0) + len(payloads)
        self._count()

    @property
    def readable_records(self) -> int:
        """How many of `records` are in files that can be read, as far as anybody has looked."""
        waiting = [*self._waiting.items()]  # the spool's own thread changes it meanwhile
        return sum(max(1, records) for name, records in waiting if name not in self.unreadable)

    def sections(self) -> Iterator[Section]:
        """
        Give every file piece by piece, oldest first, with what is not drained yet.

        Each piece is read when it is asked for. A file that cannot be read keeps none of the others
        back; `unreadable` names it.

        Raises:
            SpoolUnavailable: the folder cannot be read.

        """
        try:
            names = self._names()
        except OSError as error:
            raise self._unavailable(error) from error
        for gone in self._waiting.keys() - set(names):
            self._forget(gone)
        for name in names:
            yield from self._sections_of(name)

    def _sections_of(self, name: str) -> Iterator[Section]:
        at, is_last = self._drained.get(name, 0), False
        while not is_last:
            try:
                section = read(self.folder / name, at, bytes_max=PIECE_BYTES)
            except OSError:
                self.unreadable.add(name)
                return
            self.unreadable.discard(name)
            at, is_last = section.whole_bytes, section.is_last
            yield section

    def drained(self, section: Section) -> Path | None:
        """
        Let go of *section*, whose records are all committed elsewhere.

        Its file goes; one with a torn tail is put aside, and where to is what comes back. A file
        that has grown meanwhile stays, and gives only what is new the next time.

        Raises:
            SpoolUnavailable: the file may still be there; this process will not give these records
                again, the next one may.

        """
        name = section.path.name
        self._waiting[name] = max(0, self._waiting.get(name, 0) - len(section.records))
        self._drained[name] = section.whole_bytes
        self._count()
        if not section.is_last or (self._waiting[name] and not section.torn_bytes):
            return None
        if self._file is not None and self._file.name == name:
            self._leave_file()
        try:
            aside = self._let_go(name, self._hold_folder(), is_torn=section.torn_bytes > 0)
        except OSError as error:
            raise self._unavailable(error) from error
        self.renew_reserve()
        return aside

    def put_aside(self, record: bytes) -> Path:
        """
        Keep *record*, which could be read and not be drained, in a file of its own; return where.

        Raises:
            SpoolUnavailable: it is not known to be on disk there.

        """
        name = f"{blake2b(record, digest_size=8).hexdigest()}{_BAD_SUFFIX}"
        try:
            folder = self._hold_folder()
            descriptor = os.open(name, _WRITE | os.O_CREAT, 0o600, dir_fd=folder)
            try:
                written = os.pwrite(descriptor, record, 0)
                os.fsync(descriptor)
            finally:
                close(descriptor)
            os.fsync(folder)
        except OSError as error:
            raise self._unavailable(error) from error
        if written < len(record):
            raise self._unavailable(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name))
        return self.folder / name

    def renew_reserve(self) -> bool:
        """Hold the reserve, as much of it as the disk has room for. True: all of it is there."""
        if self._reserve is None or self.held_bytes < self.reserve_bytes:
            with suppress(OSError):
                self._hold_reserve(self._hold_folder())
        return self._reserve is not None and self.held_bytes >= self.reserve_bytes

    # What is in the folder

    def _hold_folder(self) -> int:
        """
        Open the folder, made if it is missing; to sync it then takes no new descriptor.

        Its own name is synced every time: an earlier attempt may have ended just before that.
        """
        if self._folder is None:
            with suppress(FileExistsError):
                os.mkdir(self.folder, 0o700)  # noqa: PTH102 - every system call here goes by `os`
            parent = os.open(self.folder.parent, _FOLDER)
            try:
                os.fsync(parent)
            finally:
                close(parent)
            self._folder = os.open(self.folder, _FOLDER)
        return self._folder

    def _take_stock(self, folder: int) -> None:
        """Find the last number and what waits."""
        self._number = max((int(name.removesuffix(_SUFFIX)) for name in self._names()), default=0)
        self._number_reserve(folder)
        self._waiting.clear()
        self._drained.clear()
        for name in self._names():
            records = self._stock(folder, name)
            if records is not None:
                self._waiting[name] = records
        self._count()

    def _stock(self, folder: int, name: str) -> int | None:
        """Count a file's records, and give back space it has and does not need; None: it went."""
        path = self.folder / name
        at = records = 0
        while True:
            try:
                section = read(path, at, bytes_max=PIECE_BYTES)
            except PermissionError:
                raise  # a command mends it, and who starts the daemon is there to type it
            except OSError:
                return 1  # a bad sector must not keep the daemon from starting: `sections` tells
            at = section.whole_bytes
            records += len(section.records)
            if section.is_last:
                break
        if section.torn_bytes:
            return records
        with suppress(OSError):
            if not records:
                os.unlink(name, dir_fd=folder)
                return None
            if section.blank_bytes:
                os.truncate(path, section.whole_bytes)
        return records

    def _names(self) -> list[str]:
        """Return the names of the files of records, oldest first."""
        with os.scandir(self.folder) as entries:
            return sorted(
                entry.name
                for entry in entries
                if _NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
            )

    def _free_number(self, folder: int) -> str:
        """Return the next number under which there is nothing: rename() would replace it."""
        while True:
            self._number = self._number % NUMBER_MAX + 1
            number = f"{self._number:08}"
            if not any(_exists(number + each, folder) for each in (_SUFFIX, _TORN_SUFFIX)):
                return number

    def _let_go(self, name: str, folder: int, *, is_torn: bool) -> Path | None:
        aside = None
        if is_torn:
            aside = name.removesuffix(_SUFFIX) + _TORN_SUFFIX
            if _exists(aside, folder):  # somebody has given a file its old name back
                aside = self._free_number(folder) + _TORN_SUFFIX
            os.rename(name, aside, src_dir_fd=folder, dst_dir_fd=folder)
        else:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
        self._forget(name)
        os.fsync(folder)
        return self.folder / aside if aside else None

    # The file being written

    def _write(self, frames: bytes) -> str:
        """Write *frames* into the present file, and return its name."""
        if self._file is not None and self._file.length >= max(FILE_BYTES_MAX, self.reserve_bytes):
            self._leave_file()
        if self._file is None:
            self._file = self._begin_file(self._hold_folder())
        self._file.write(frames)
        return self._file.name

    def _begin_file(self, folder: int) -> File:
        """
        Begin a file: the reserve under a number when there is one, else a new one.

        Its name is on disk before anything is written into it: nothing is ever kept in a file that
        has none, nor in one that is still called the reserve.
        """
        name = self._free_number(folder) + _SUFFIX
        if self._reserve is None:
            with suppress(OSError):
                self._reserve = _open_regular(RESERVE_NAME, _WRITE, folder)
        if self._reserve is None:
            flags = _WRITE | os.O_CREAT | os.O_EXCL
            self._file = File(name, os.open(name, flags, 0o600, dir_fd=folder))
        else:
            os.rename(RESERVE_NAME, name, src_dir_fd=folder, dst_dir_fd=folder)
            self._file = File(name, self._reserve)
            self._reserve = None
            self.held_bytes = 0
        os.fsync(folder)
        return self._file

    def _leave_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _abandon(self) -> None:
        """
        Let go of all that is open after a failure, for the next attempt to open anew.

        Of the present file there remains what was said to be kept: all of it, or it goes.
        """
        if self._file is not None and not self._file.length and self._folder is not None:
            try:
                os.unlink(self._file.name, dir_fd=self._folder)
            except OSError:
                self._waiting.setdefault(self._file.name, 0)
                self._count()
        self.close()

    # The reserve

    def _number_reserve(self, folder: int) -> None:
        """Make a file of records of a reserve that is not blank; it was not us who wrote there."""
        try:
            descriptor = _open_regular(RESERVE_NAME, _WRITE, folder)
        except PermissionError:
            raise
        except OSError:
            return
        if descriptor is None:
            return
        is_blank = _is_blank(descriptor)
        close(descriptor)
        if not is_blank:
            name = self._free_number(folder) + _SUFFIX
            os.rename(RESERVE_NAME, name, src_dir_fd=folder, dst_dir_fd=folder)

    def _hold_reserve(self, folder: int) -> None:
        """Open the reserve or make it, and allocate what is missing; it may be a part, or holes."""
        if self._reserve is None:
            self._reserve = _open_regular(RESERVE_NAME, _WRITE | os.O_CREAT, folder)
        if self._reserve is not None:
            self.held_bytes = 0
            _allocate(self._reserve, self.reserve_bytes)
            os.fsync(self._reserve)
            os.fsync(folder)
            status = os.fstat(self._reserve)
            self.held_bytes = min(status.st_size, status.st_blocks * 512)

    # What is counted and said

    def _forget(self, name: str) -> None:
        self._waiting.pop(name, None)
        self._drained.pop(name, None)
        self.unreadable.discard(name)
        self._count()

    def _count(self) -> None:
        self.records = sum(max(1, records) for records in self._waiting.values())

    def _unavailable(self, error: OSError) -> SpoolUnavailable:
        path = str(error.filename or self.folder)
        return SpoolUnavailable(error.errno, f"spool: {error.strerror}", path)


def _probe(folder: int) -> None:
    """See whether files can be made; that the disk is full is another matter."""
    try:
        close(os.open(_PROBE_NAME, _WRITE | os.O_CREAT, 0o600, dir_fd=folder))
        os.unlink(_PROBE_NAME, dir_fd=folder)
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise


def _exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _open_regular(name: str, flags: int, folder: int) -> int | None:
    """Open *name*; None when it is no file but a pipe, say."""
    descriptor = os.open(name, flags, 0o600, dir_fd=folder)
    is_regular = False
    try:
        is_regular = S_ISREG(os.fstat(descriptor).st_mode)
    finally:
        if not is_regular:
            close(descriptor)
    return descriptor if is_regular else None


def _is_blank(descriptor: int) -> bool:
    """Say whether nothing but zeros can be read."""
    at = 0
    with suppress(OSError):
        while chunk := os.pread(descriptor, _CHUNK_BYTES, at):
            if chunk.strip(b"\0"):
                return False
            at += len(chunk)
    return True


def _allocate(descriptor: int, size: int) -> None:
    """Allocate *size* bytes, or half as many, and so on: part of a reserve is better than none."""
    if os.fstat(descriptor).st_size > size:
        os.ftruncate(descriptor, size)
    while size >= RESERVE_BYTES_MIN:
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno not in _NO_SPACE:
                raise
            size //= 2
        else:
            return
