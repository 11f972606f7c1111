"""Who gives way to callbacks, and for how long."""

from __future__ import annotations

import asyncio

from plivostatusd.flows.courtesy import REST_S, RESTS_MAX, Courtesy


async def test_nobody_waits() -> None:
    """Where no callback waits, others have one turn and no more."""
    turns: list[int] = []
    asyncio.get_running_loop().call_soon(turns.append, 1)
    asking = iter([0])
    await Courtesy(lambda: next(asking)).give_way()
    assert [1] == turns


async def test_until_it_is_answered() -> None:
    """Long work rests until the callbacks that wait are on disk."""
    waiting = [1, 1, 0]
    begun_s = asyncio.get_running_loop().time()
    await Courtesy(lambda: waiting.pop(0)).give_way()
    assert [] == waiting
    # uvloop tells whole milliseconds
    assert 2 * REST_S - 0.002 <= asyncio.get_running_loop().time() - begun_s


async def test_not_for_ever() -> None:
    """Where callbacks come all the time, long work goes on after a few rests."""
    asked: list[int] = []

    def waiting() -> int:
        asked.append(1)
        return 1

    await Courtesy(waiting).give_way()
    assert RESTS_MAX == len(asked)
