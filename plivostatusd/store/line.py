"""Who waits for the writer, in two lines: the impatient, callbacks above all, go before others."""

from __future__ import annotations

from collections import deque
from typing import Final, Generic, TypeVar

JOBS_PER_BATCH_MAX: Final = 512
PATIENT_PER_BATCH_MAX: Final = 32
"""Of those who are not impatient so many go in a batch: a callback that comes then waits for it."""

Waiting = TypeVar("Waiting")


class Line(Generic[Waiting]):
    """
    A line of those who are impatient and one of those who are not, each in the order they came.

    Whoever is impatient is in the next batch, or as near to it as others of its kind let it. Some
    of the others are in every batch, so that they do not wait for ever.
    """

    def __init__(self) -> None:
        self.impatient: deque[Waiting] = deque()
        self._patient: deque[Waiting] = deque()

    def __len__(self) -> int:
        return len(self.impatient) + len(self._patient)

    def add(self, waiting: Waiting, *, is_impatient: bool) -> None:
        """Have one more wait, behind its like."""
        (self.impatient if is_impatient else self._patient).append(waiting)

    def take(self) -> list[Waiting]:
        """Take those out whose jobs are to be in the next batch."""
        batch = _take(self.impatient, JOBS_PER_BATCH_MAX)
        return batch + _take(self._patient, PATIENT_PER_BATCH_MAX)


def _take(line: deque[Waiting], most: int) -> list[Waiting]:
    return [line.popleft() for _ in range(min(len(line), most))]
