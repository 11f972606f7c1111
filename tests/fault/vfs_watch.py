"""
What is watched of the calls that SQLite makes to its file system, and made to go wrong there.

A `Watch` sees every call before it is made and once it has succeeded. It counts them, lets one of
them fail or all from one on, holds up what is to be synced, and hands those that change a disk to
whoever writes them down.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

OK: Final = 0


class Call(NamedTuple):
    """
    One call. *kind* is the method's name: xShmLock is `shm_lock`, or `shm_unlock` to let go.

    *path* is None for a file that has no name. *flags* are an open's, or whether a delete is to
    sync the folder.
    """

    kind: str
    path: str | None
    at: int = 0
    content: bytes = b""
    flags: int = 0


@dataclass(frozen=True)
class Fault:
    """
    Of the calls whose kind is in *codes* the *nth* fails, and so do, *for_good*, all after it.

    Each with the code that stands there for its kind; the other kinds neither fail nor count.
    """

    codes: Mapping[str, int]
    nth: int
    for_good: bool = False


@dataclass
class Watch:
    """
    Watches; `points` counts the calls that could have been the one that fails, `broken` those that
    did, of which `first` was the first. *broke* is told of it; *done* of each that changed a file.

    *lock* is held during each call: whoever holds it finds every file as it is between two calls.
    """

    fault: Fault | None = None
    sync_delay_s: float = 0.0
    done: Callable[[Call], None] = lambda _: None
    broke: Callable[[], None] = lambda: None
    counts: Counter[str] = field(default_factory=Counter)
    points: int = 0
    broken: int = 0
    first: Call | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)
    _failing: Mapping[str, int] = field(default_factory=dict)

    def meet(self, call: Call) -> int:
        """Return the code with which *call* is to fail, or `OK`."""
        self.counts[call.kind] += 1
        if self._failing:
            return self._failing.get(call.kind, OK)
        if self.fault is None or call.kind not in self.fault.codes:
            return OK
        self.points += 1
        is_hit = self.points == self.fault.nth
        if is_hit or (self.fault.for_good and self.points > self.fault.nth):
            self.broken += 1
            if self.first is None:
                self.first = call
                self.broke()
            return self.fault.codes[call.kind]
        return OK

    def hold_up(self) -> None:
        """Take as long over a sync as the disk does."""
        if self.sync_delay_s:
            time.sleep(self.sync_delay_s)

    @contextmanager
    def failing(self, codes: Mapping[str, int]) -> Iterator[None]:
        """Let every call of these kinds fail for a while, during which nothing counts."""
        self._failing = codes
        try:
            yield
        finally:
            self._failing = {}
