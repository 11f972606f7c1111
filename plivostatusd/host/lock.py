"""
One daemon for one store: a lock on the store's directory.

Owns the file `plivostatusd.lock` there. The lock is the kernel's (flock(2)): it ends with the
process, however that ends, so a file left behind means nothing and is never removed (removing it
would let two processes lock two files of one name). Taken at start, held until the end.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from plivostatusd.domain.errors import StartRefused

LOCK_NAME = "plivostatusd.lock"
PID_BYTES_MAX = 20


class DirectoryLocked(StartRefused):
    """Another process, *pid* when it has said so, holds the directory."""

    def __init__(self, directory: Path, pid: int | None) -> None:
        holder = f"process {pid}" if pid else "another process"
        super().__init__(
            f"{holder} holds the store in {directory}",
            command=f"ps -fp {pid}" if pid else "systemctl status plivostatusd",
        )
        self.directory = directory
        self.pid = pid


class DirectoryLock:
    """The lock on *directory*, held from construction until `release` or the process's end."""

    def __init__(self, directory: Path) -> None:
        """
        Take the lock at once or not at all.

        Raises:
            DirectoryLocked: somebody else holds it.
            StartRefused: the directory is missing, or not ours to write.
        """
        self.path = directory / LOCK_NAME
        self._file: int | None = None
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            self._take(self._file)
        except BlockingIOError as exc:
            raise DirectoryLocked(directory, self._holder()) from exc
        except OSError as exc:
            self.release()
            sentence = f"cannot lock the store's directory {directory}: {exc.strerror}"
            raise StartRefused(sentence, command=f"ls -ld {directory}") from exc

    def _take(self, file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Let go; a second call does nothing."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _holder(self) -> int | None:
        """Return who was faster; None in the moment between its locking and its writing."""
        text = self.path.read_bytes()[:PID_BYTES_MAX].strip()
        self.release()
        return int(text) if text.isdigit() else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
