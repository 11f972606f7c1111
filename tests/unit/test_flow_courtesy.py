"""Who gives way to callbacks, and for how long."""

from __future__ import annotations

import asyncio

import pytest

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


async def in_turn(
    courtesy: Courtesy, noted: list[str], name: str, *, is_long: bool = False
) -> None:
    """Be one who comes, is in for two turns of the loop, and goes."""
    async with courtesy.turn(is_long=is_long):
        noted.append(f"+{name}")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        noted.append(f"-{name}")


async def test_each_a_turn_of_its_own() -> None:
    """Who comes together is let in one a turn of the loop, before the one in front is done."""
    courtesy = Courtesy(lambda: 0)
    noted: list[str] = []
    turns: list[int] = []

    async def count() -> None:
        while len(noted) < 6:
            turns.append(sum(each.startswith("+") for each in noted))
            await asyncio.sleep(0)

    await asyncio.gather(count(), *(in_turn(courtesy, noted, name) for name in "abc"))
    assert ["+a", "+b", "+c"] == [each for each in noted if each.startswith("+")]
    assert noted.index("+b") < noted.index("-a")
    assert {0, 1, 2, 3} == set(turns)


async def test_one_after_the_other_while_callbacks_come() -> None:
    """Once a callback came the next is let in when the one before is done."""
    courtesy = Courtesy(lambda: 0, lambda: 1)
    noted: list[str] = []
    await asyncio.gather(*(in_turn(courtesy, noted, name) for name in "abc"))
    assert ["+a", "-a", "+b", "-b", "+c", "-c"] == noted


async def test_callbacks_come_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Callbacks are taken to come until none came for a while."""
    received = [7]
    courtesy = Courtesy(lambda: 0, lambda: received[0])
    assert courtesy.are_coming
    assert courtesy.are_coming
    monkeypatch.setattr("plivostatusd.flows.courtesy.COMING_S", 0.0)
    received[0] = 8
    assert not courtesy.are_coming


async def test_long_ones_by_a_door_of_theirs() -> None:
    """Long ones go one after the other, and keep nobody else waiting."""
    courtesy = Courtesy(lambda: 0)
    noted: list[str] = []
    long = [in_turn(courtesy, noted, name, is_long=True) for name in "LM"]
    await asyncio.gather(*long, in_turn(courtesy, noted, "s"))
    assert ["+L", "-L", "+M", "-M"] == [each for each in noted if each[1] != "s"]
    assert noted.index("+s") < noted.index("-L")


@pytest.mark.parametrize("is_long", [False, True])
async def test_nobody_bars_the_door(monkeypatch: pytest.MonkeyPatch, *, is_long: bool) -> None:
    """Behind one whose store hangs the next is let in after a while, and nobody twice."""
    for name in ("TURN_S_MAX", "LONG_TURN_S_MAX"):
        monkeypatch.setattr(f"plivostatusd.flows.courtesy.{name}", 0.001)
    courtesy = Courtesy(lambda: 0, lambda: 1)
    async with courtesy.turn(is_long=is_long), asyncio.timeout(20):
        noted: list[str] = []
        await in_turn(courtesy, noted, "a", is_long=is_long)
        await in_turn(courtesy, noted, "b", is_long=is_long)
    await in_turn(courtesy, noted, "c", is_long=is_long)
    assert ["+a", "-a", "+b", "-b", "+c", "-c"] == noted
