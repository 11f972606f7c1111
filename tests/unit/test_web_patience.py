"""Waiting for many by one timer."""

from __future__ import annotations

import asyncio

from plivostatusd.web.patience import Patience


async def test_lost_in_order() -> None:
    """Who was waited for too long is told of, the longest first, and no others."""
    lost: asyncio.Queue[str] = asyncio.Queue()
    patience = Patience(0.02, lost.put_nowait)
    for name in ("first", "second", "third", "fourth"):
        patience.begin(name)
    patience.end("second")
    assert ["first", "third", "fourth"] == list(patience)
    assert ["first", "third", "fourth"] == [await lost.get() for _ in range(3)]
    assert [] == list(patience)


async def test_no_time_is_gained() -> None:
    """Beginning again while one is waited for prolongs nothing; after an end it begins anew."""
    loop = asyncio.get_running_loop()
    lost: asyncio.Queue[str] = asyncio.Queue()
    patience = Patience(0.05, lost.put_nowait)
    began_s = loop.time()
    patience.begin("slow")
    while lost.empty():
        patience.begin("slow")
        await asyncio.sleep(0)
    # uvloop tells the time in whole milliseconds, and floats of that size differ by a little less.
    assert 0.05 <= round(loop.time() - began_s, 3) < 1
    patience.begin("slow")
    patience.end("slow")
    patience.begin("other")
    patience.begin("slow")
    assert ["other", "slow"] == list(patience)
    patience.close()


async def test_later_ones_are_waited_for_later() -> None:
    """One that begins while the timer runs for another has all of its time."""
    loop = asyncio.get_running_loop()
    lost: asyncio.Queue[tuple[str, float]] = asyncio.Queue()
    patience = Patience[str](0.04, lambda name: lost.put_nowait((name, loop.time())))
    patience.begin("first")
    half = loop.create_future()
    loop.call_later(0.02, half.set_result, None)
    await half
    began_s = loop.time()
    patience.begin("second")
    assert "first" == (await lost.get())[0]
    name, at_s = await lost.get()
    assert "second" == name
    assert at_s - began_s >= 0.039


async def test_no_timer_for_nobody() -> None:
    """While nobody is waited for, nothing ticks; nor after the end."""
    lost: asyncio.Queue[str] = asyncio.Queue()
    patience = Patience(0.01, lost.put_nowait)
    assert patience._timer is None
    patience.begin("one")
    await lost.get()
    assert patience._timer is None
    patience.begin("two")
    patience.close()
    assert (None, []) == (patience._timer, list(patience))
