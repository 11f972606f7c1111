"""A pledge: told once, and heard at once by whoever waits."""

from __future__ import annotations

import asyncio

import pytest

from plivostatusd.store.pledge import Pledge


def test_told_at_once() -> None:
    """Whoever asked is called when it is told, in the order of asking; whoever asks later, too."""
    pledge: Pledge[int] = Pledge()
    heard: list[str] = []
    pledge.add_done_callback(lambda told: heard.append(f"a {told.result()}"))
    pledge.add_done_callback(lambda told: heard.append(f"b {told.result()}"))
    assert (False, []) == (pledge.done(), heard)
    pledge.set_result(1)
    pledge.add_done_callback(lambda told: heard.append(f"c {told.result()}"))
    assert ["a 1", "b 1", "c 1"] == heard
    assert (True, None) == (pledge.done(), pledge.exception())


def test_error() -> None:
    """An error is told as one."""
    pledge: Pledge[int] = Pledge()
    pledge.set_exception(LookupError("gone"))
    assert isinstance(pledge.exception(), LookupError)
    with pytest.raises(LookupError):
        pledge.result()


@pytest.mark.expect_log("answer_failed")
def test_a_bug_of_one() -> None:
    """Who fails to take the news keeps it from nobody else, and not from who tells."""
    pledge: Pledge[int] = Pledge()
    heard: list[int] = []
    pledge.add_done_callback(lambda _: 1 / 0)
    pledge.add_done_callback(lambda told: heard.append(told.result()))
    pledge.set_result(2)
    assert [2] == heard


async def test_awaited() -> None:
    """It can be awaited, before it is told and afterwards; whoever is cancelled takes nothing."""
    pledge: Pledge[int] = Pledge()
    waiting = [asyncio.ensure_future(pledge) for _ in range(2)]
    impatient = asyncio.ensure_future(pledge)
    await asyncio.sleep(0)
    impatient.cancel()
    pledge.set_result(3)
    assert [3, 3] == await asyncio.gather(*waiting)
    assert 3 == await pledge
    failed: Pledge[int] = Pledge()
    failed.set_exception(LookupError())
    with pytest.raises(LookupError):
        await failed
