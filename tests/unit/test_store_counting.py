"""Sums of what jobs counted: they are what a look at each message gives, whatever failed."""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path

from plivostatusd.store import counting, figures, folding, receipts
from plivostatusd.store.figures import DAY_US
from plivostatusd.store.receipts import Arrival
from plivostatusd.store.transaction import Transaction
from tests.unit.store_place import START_US, arrival, insert_fact, opened, uuid


def test_what_is_not_known() -> None:
    """What a message has not is spelt as the table spells it."""
    bare = (DAY_US * 3 - 1, "sent", None, None, None, None, None, None)
    assert (2, "sent", "", "", "", "", "", -1) == counting.key(bare)


async def test_made_and_deleted(tmp_path: Path) -> None:
    """A message that is made and deleted in one transaction, or in two, leaves no figure."""

    def delete(transaction: Transaction, number: int) -> None:
        message = folding.by_uuid(transaction, uuid(number))
        assert message is not None
        transaction.execute("DELETE FROM events WHERE message = ?", (message.row,))
        folding.delete(transaction, message.row)

    async with opened(tmp_path) as place:
        await place.take_in(_sent(1))
        place.writer.submit(partial(receipts.record, arrival=_sent(2)))
        place.writer.submit(partial(delete, number=1))
        await place.writer.submit(partial(delete, number=2))
        assert [] == place.rows("SELECT * FROM figures")


async def test_a_job_that_is_undone_counts_nothing(tmp_path: Path) -> None:
    """In a batch of which one job is bad, figures and tallies are those of the others."""

    def bad(transaction: Transaction) -> None:
        receipts.record(transaction, arrival(message_uuid=uuid(9), status="failed"))
        receipts.record(transaction, arrival(message_uuid=uuid(1), status="delivered"))
        figures.recount_day(transaction, START_US // DAY_US)
        insert_fact(transaction, "bad", None)

    async with opened(tmp_path) as place:
        first = place.writer.submit(partial(receipts.record, arrival=_sent(1)))
        failed = place.writer.submit(bad)
        await place.take_in(_sent(2))
        await first
        assert isinstance(failed.exception(), sqlite3.IntegrityError)
        assert [("sent", 2)] == place.rows("SELECT status, sum(n) FROM figures GROUP BY status")


async def test_a_recount_amid_a_batch(tmp_path: Path) -> None:
    """Counting a day anew counts once what its own batch has changed already."""
    async with opened(tmp_path) as place:
        place.writer.submit(partial(receipts.record, arrival=_sent(1)))
        for count in (figures.recount, partial(figures.recount_day, day=START_US // DAY_US)):
            place.writer.submit(count)
        await place.take_in(_sent(2))
        assert 1 == place.writer.commits
        assert [2] == place.rows("SELECT n FROM figures")


def _sent(number: int) -> Arrival:
    return arrival(message_uuid=uuid(number), status="sent")
