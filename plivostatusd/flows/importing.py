"""
Taking over what another program kept of its messages, a few rows a transaction.

It promises that no callback waits longer than for any other commit, that nothing is ever sent, and
that whatever was taken stays, however the rest ends: the same rows once more change nothing.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Final

from plivostatusd.domain import identity
from plivostatusd.log import get_logger
from plivostatusd.store import importing
from plivostatusd.store.importing import Taken

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plivostatusd.domain.imported import Imported
    from plivostatusd.store.transaction import Transaction
    from plivostatusd.store.writer import Writer

log = get_logger()

STEP: Final = 50
"""Rows a transaction: some 5 ms of the writer's thread."""


class Importing:
    """
    Takes rows into the store that *writer* owns.

    A `sent` older than `silence_final_s` is final; a reload may set it anew.
    """

    def __init__(
        self, writer: Writer, silence_final_s: float, *, now_us: Callable[[], int]
    ) -> None:
        self.silence_final_s = silence_final_s
        self.now_us = now_us
        self._writer = writer

    async def take(self, rows: Sequence[Imported], *, by: str) -> Taken:
        """Take *rows*, on the word of *by*. Raises `StoreUnavailable`; some may be taken then."""
        taken = Taken()
        for start in range(0, len(rows), STEP):
            step = [(row, os.urandom(identity.ID_BYTES)) for row in rows[start : start + STEP]]
            now_us = self.now_us()
            silent_us = now_us - int(self.silence_final_s * 1_000_000)
            taken += await self._writer.submit(partial(_take, step, now_us, silent_us, by))
        log.info(
            "messages_imported",
            by=by,
            imported=taken.imported,
            changed=taken.changed,
            unchanged=taken.unchanged,
        )
        return taken


def _take(
    step: list[tuple[Imported, bytes]],
    now_us: int,
    silent_us: int,
    by: str,
    transaction: Transaction,
) -> Taken:
    return importing.take(transaction, step, now_us, silent_us, by)
