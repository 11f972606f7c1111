"""plivostatusd.host.turn: what a turn of the loop brings is done together at its end."""

from __future__ import annotations

import asyncio

import pytest

from plivostatusd.host.turn import Turn


async def test_what_comes_within_a_turn_is_done_together() -> None:
    """Nothing is done while it is added; then all of it is, in order; the next turn begins anew."""
    done: list[list[int]] = []
    turn: Turn[int] = Turn(done.append)
    turn.add(1)
    turn.add(2)
    assert done == []
    await asyncio.sleep(0)
    assert done == [[1, 2]]
    turn.add(3)
    await asyncio.sleep(0)
    assert done == [[1, 2], [3]]


async def test_what_is_added_meanwhile_is_done_in_the_next_turn() -> None:
    """Work that brings more work does not hold the loop, and nothing of it is lost."""
    done: list[list[int]] = []

    def together(items: list[int]) -> None:
        done.append(items)
        if items[0] < 3:
            turn.add(items[0] + 1)

    turn: Turn[int] = Turn(together)
    turn.add(1)
    for _ in range(4):
        await asyncio.sleep(0)
    assert done == [[1], [2], [3]]


@pytest.mark.allow_log("asyncio")
async def test_a_bug_costs_one_turn() -> None:
    """Work that raises is not done again, and does not keep the next from being done."""
    raised: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
    done: list[int] = []

    def together(items: list[int]) -> None:
        if items == [0]:
            raise RuntimeError
        done.extend(items)

    turn: Turn[int] = Turn(together)
    turn.add(0)
    await asyncio.sleep(0)
    turn.add(1)
    await asyncio.sleep(0)
    assert (len(raised), done) == (1, [1])
