"""A long list is there whole or not at all, and comes out of its roll message by message, once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from plivostatusd.domain.errors import LimitReached
from plivostatusd.store import rolls, submissions
from plivostatusd.store.rolls import STEP
from plivostatusd.store.submissions import Accepted, Submission
from plivostatusd.store.transaction import Transaction
from tests.unit.store_place import Place, opened, submission

MANY = [f"+1415556{number:04}" for number in range(2 * STEP + 7)]
TABLES = ("messages", "events", "outbox", "tallies", "figures", "sends_by_day")
ROLLS = "SELECT name FROM facts WHERE name LIKE 'roll %' OR name LIKE 'left %'"


def long_list(**more: Any) -> Submission:
    """Make a send to many, with everything that a message may have."""
    options = {"type": "sms", "media_urls": ["u"]}
    return submission(to=MANY, text="☃ 'hi' \\\"", tag="night", options=options, **more)


async def accept(place: Place, given: Submission) -> Accepted:
    """Record a send as a roll."""
    roll = submissions.roll_of(given, given.intents)
    accepted: Accepted = await place.writer.submit(
        lambda tx: submissions.accept(tx, given, roll=roll)
    )
    return accepted


async def do(place: Place, job: Any, *arguments: object) -> Any:
    """Run *job* in a transaction."""
    return await place.writer.submit(lambda tx: job(tx, *arguments))


async def step(place: Place, given: Submission) -> Any:
    """Write one step out, as a process does that has only the store."""
    return await do(place, rolls.write_out, given.intents[0].id)


def recipients(place: Place) -> Sequence[Any]:
    """Whom the messages are to that are there, in the order they were written."""
    return place.rows("SELECT recipient_number FROM messages ORDER BY row")


async def test_as_if_recorded_at_once(tmp_path: Path) -> None:
    """What comes out of a roll is what one transaction would have written; of the roll nothing."""
    given, tables = long_list(), []
    for name in ("steps", "at once"):
        (tmp_path / name).mkdir()
        async with opened(tmp_path / name) as place:
            if name == "steps":
                await accept(place, given)
                await rolls.write_out_rest(place.writer)
            else:
                await place.accept(given)
            tables.append([place.rows(f"SELECT * FROM {each}") for each in TABLES])  # noqa: S608 - ours
            assert [] == place.rows(ROLLS)
    assert tables[0] == tables[1]
    assert len(MANY) == len(tables[0][0])


async def test_a_step_at_a_time(tmp_path: Path) -> None:
    """No transaction writes more than a step, and each says how many are left."""
    async with opened(tmp_path) as place:
        given = long_list()
        await accept(place, given)
        assert [] == recipients(place)
        for left in (STEP + 7, 7, 0, 0):
            assert left == await step(place, given)
            assert MANY[: len(MANY) - left] == recipients(place)
            assert left == await do(place, rolls.left)


async def test_the_next_process_goes_on(tmp_path: Path) -> None:
    """What one process accepted and did not write out the next one does, the oldest first."""
    first, second = long_list(), long_list(now_us=submission().now_us + 1_000)
    async with opened(tmp_path) as place:
        await accept(place, second)
        await accept(place, first)
        await step(place, first)
    async with opened(tmp_path) as place:
        names = [first.intents[0].id, second.intents[0].id]
        assert names == await place.writer.submit(rolls.unfinished)
        await rolls.write_out_rest(place.writer)
        assert [] == await place.writer.submit(rolls.unfinished)
        assert [*MANY, *MANY] == recipients(place)
        assert [] == place.rows(ROLLS)


async def test_what_is_left_is_in_the_queue(tmp_path: Path) -> None:
    """Messages of a roll count against `send.queue_max` and the day before they are written out."""
    async with opened(tmp_path) as place:
        given = long_list(queue_max=len(MANY))
        await accept(place, given)
        for _ in range(4):
            with pytest.raises(LimitReached):
                await place.accept(submission(queue_max=len(MANY)))
            await step(place, given)
        await place.accept(submission(queue_max=len(MANY) + 1))
        with pytest.raises(LimitReached):
            await place.accept(submission(per_day=len(MANY) + 1))


async def test_a_key_leads_to_messages(tmp_path: Path) -> None:
    """Whoever repeats a list with its key finds all of its messages, and no second roll."""
    async with opened(tmp_path) as place:
        given = long_list(key="k")
        await accept(place, given)
        await step(place, given)
        again = await accept(place, long_list(key="k"))
        assert again.repeated
        assert {*again.ids} == {*place.rows("SELECT id FROM messages")}
        assert MANY == recipients(place)
        assert [] == place.rows(ROLLS)


async def test_withdrawn(tmp_path: Path) -> None:
    """Of a roll whose COMMIT reported an error nothing is left, so its key sends it anew."""
    async with opened(tmp_path) as place:
        given = long_list(key="k")
        await accept(place, given)
        assert await do(place, submissions.withdraw, given)
        assert not await do(place, submissions.withdraw, given)
        assert 0 == await step(place, given)
        assert [[], [], [0]] == [
            place.rows(ROLLS),
            recipients(place),
            place.rows("SELECT n FROM sends_by_day"),
        ]
        assert not (await accept(place, long_list(key="k"))).repeated
        await rolls.write_out_rest(place.writer)


@pytest.mark.parametrize("lost", ["roll", "left"])
async def test_salvaged_in_part(tmp_path: Path, lost: str) -> None:
    """A roll of which only half was saved keeps no start waiting."""
    async with opened(tmp_path) as place:
        given = long_list()
        await accept(place, given)
        name = f"{lost} {given.intents[0].id}"
        await do(place, lambda tx: tx.execute("DELETE FROM facts WHERE name = ?", (name,)))
        await rolls.write_out_rest(place.writer)
        assert [] == await place.writer.submit(rolls.unfinished)
        assert 0 == await do(place, rolls.left)
        await place.writer.submit(lambda tx: tx.execute("DELETE FROM sends_by_day"))


async def test_finished_in_one(tmp_path: Path) -> None:
    """`finish` writes all that is left in the transaction that it is called in."""
    async with opened(tmp_path) as place:
        given = long_list()
        await accept(place, given)
        commits = place.writer.commits
        await place.writer.submit(partial(rolls.finish, name=given.intents[0].id))
        assert (commits + 1, MANY) == (place.writer.commits, recipients(place))


async def test_few_statements_a_step(tmp_path: Path) -> None:
    """A step takes the same few statements however many messages it writes."""

    def count(transaction: Transaction, given: Submission) -> int:
        asked: list[str] = []
        execute = transaction.execute

        def note(sql: str, *arguments: Any) -> Any:
            asked.append(sql)
            return execute(sql, *arguments)

        transaction.execute = note
        rolls.write_out(transaction, given.intents[0].id)
        return len(asked)

    async with opened(tmp_path) as place:
        given = long_list()
        await accept(place, given)
        assert await do(place, count, given) == await do(place, count, given)
        await rolls.write_out_rest(place.writer)
