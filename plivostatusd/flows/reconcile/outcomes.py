"""What came of asking: logged, counted, and told to whoever demanded it."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from plivostatusd.domain import error_codes
from plivostatusd.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plivostatusd.flows.reconcile.terms import Gauges
    from plivostatusd.store.findings import Learnt

log = get_logger()

CHANGED: Final = "changed"
CONFIRMED: Final = "confirmed"
UNCHANGED: Final = "unchanged"
ABSENT: Final = "absent"
INFERRED: Final = "inferred"
SILENT: Final = "silent"
FAILED: Final = "failed"
RESULTS: Final = (CHANGED, CONFIRMED, UNCHANGED, ABSENT, INFERRED, SILENT, FAILED)
"""Every word of `reconciled_total{result}`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one question; *reason* says why there is no answer."""

    message_id: str
    message_uuid: str | None
    before: str
    after: str
    result: str
    reason: str | None = None
    error_code: str | None = None


def of(learnt: Learnt, *, is_absent: bool = False) -> Outcome:
    """Name what an answer has changed."""
    if learnt.is_silence:
        result = SILENT
    elif learnt.before != learnt.after:
        result = CHANGED
    elif is_absent:
        result = ABSENT
    else:
        result = CONFIRMED if learnt.is_new else UNCHANGED
    return Outcome(
        learnt.message_id,
        learnt.message_uuid,
        learnt.before,
        learnt.after,
        result,
        error_code=learnt.error_code,
    )


def failed(message_id: str, message_uuid: str | None, status: str, reason: str) -> Outcome:
    """Say that there is no answer, and why."""
    return Outcome(message_id, message_uuid, status, status, FAILED, reason)


def unchanged(message_id: str, status: str, reason: str) -> Outcome:
    """Say that nothing was learnt, and why."""
    return Outcome(message_id, None, status, status, UNCHANGED, reason)


class Outcomes:
    """Passes outcomes on. `hear` gives a queue of those that come while it is open."""

    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges
        self._ears: set[asyncio.Queue[Outcome]] = set()

    def tell(self, outcome: Outcome) -> None:
        """Log one that is news, count it, and pass it on."""
        self._gauges.reconciled(outcome.result)
        write = log.debug if outcome.result in {UNCHANGED, ABSENT} else log.info
        code = outcome.error_code
        write(
            "message_reconciled",
            message_id=outcome.message_id,
            result=outcome.result,
            status=outcome.after,
            status_before=outcome.before,
            **({"error_code": code, "error": error_codes.meaning(code)} if code else {}),
        )
        for ear in self._ears:
            ear.put_nowait(outcome)

    @contextmanager
    def hear(self) -> Iterator[asyncio.Queue[Outcome]]:
        """Listen for the length of a block."""
        ear: asyncio.Queue[Outcome] = asyncio.Queue()
        self._ears.add(ear)
        try:
            yield ear
        finally:
            self._ears.discard(ear)
