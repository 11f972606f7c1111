"""A simulator that stops and is followed by another over the same account."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from plivostatusd.simulator import Options, Simulator
from tests.unit.simulator_receiver import Lines, number, playing, send
from tests.unit.test_simulator_api import ROOT, SEND
from tests.unit.test_simulator_outage import basic
from tests.wire import Wire


@asynccontextmanager
async def followed(first: Simulator) -> AsyncIterator[Simulator]:
    """Stop *first* and run its successor."""
    await first.stop()
    second = first.successor()
    await second.start()
    try:
        yield second
    finally:
        await second.stop()


@pytest.mark.gen_test
async def test_the_account_outlives_a_restart() -> None:
    """The successor has the port, the messages and the memory of the one before."""
    async with playing() as (first, receiver):
        await send(first, number("0001"), receiver.url)
        assert (await send(first, number("0010"), receiver.url)).code == 429
        await first.idle()
        async with followed(first) as second:
            assert (first.url, first.seed) == (second.url, second.seed)
            assert (await send(second, number("0010"), receiver.url)).code == 202
            assert (await send(second, number("0001"), receiver.url)).code == 202
            await second.idle()
            assert [202, 429, 202, 202] == [each.answer for each in second.requests]
            assert 3 == len({each.uuid for each in second.messages.values()})
            assert [3, 3, 3] == [each.sequence for each in second.messages.values()]


@pytest.mark.gen_test
@pytest.mark.parametrize("digits", ["0001", "0013"])
async def test_a_story_goes_on(digits: str) -> None:
    """A story that a stop has cut off is told to its end, with nothing told twice."""
    lines = Lines()
    async with playing(Options(port=0, speed=5.0), lines) as (first, receiver):
        message = first.take(dst=number(digits).strip("+"), url=receiver.url)
        await lines.heard("called .* queued: 200")
        async with followed(first) as second:
            await second.idle()
        assert ("delivered", 3) == (message.state, message.sequence)
        genuine = [each.status for each in message.deliveries if not each.is_forged]
        assert ["queued", "sent", "delivered"] == genuine


@pytest.mark.gen_test
async def test_a_silent_story_goes_on() -> None:
    """What the API alone knows changes after a restart too, once."""
    async with playing(Options(port=0, speed=5.0)) as (first, receiver):
        message = first.take(dst=number("0006").strip("+"), url=receiver.url)
        async with followed(first) as second:
            assert 0 == message.sequence
            await second.idle()
        assert ("delivered", 3, []) == (message.state, message.sequence, receiver.arrived)


@pytest.mark.gen_test
async def test_what_was_held_back_is_told() -> None:
    """Callbacks that wait for the end of their story are not forgotten by a stop."""
    async with playing() as (first, receiver):
        receiver.gate.clear()
        message = first.take(dst=number("0008").strip("+"), url=receiver.url)
        await receiver.first.wait()
        await first.stop()
        receiver.gate.set()
        async with followed(first) as second:
            await second.idle()
        told = sorted(receiver.statuses[1:])
        assert ["delivered"] * 2 + ["queued"] * 2 + ["sent"] * 2 == told
        assert ("delivered", 3) == (message.state, message.sequence)


@pytest.mark.gen_test
async def test_retries_are_given_up() -> None:
    """A callback that waits for its next attempt when the simulator stops is not made again."""
    lines = Lines()
    async with playing(Options(port=0, speed=100.0), lines) as (first, receiver):
        receiver.answer = lambda _: 503
        message = first.take(dst=number("0001").strip("+"), url=receiver.url)
        await lines.heard("called .* delivered: 503")
        receiver.answer = lambda _: 200
        async with followed(first) as second:
            await second.idle()
        assert ("delivered", [503] * 3) == (message.state, [d.answer for d in message.deliveries])


@pytest.mark.gen_test
async def test_a_send_during_the_stop() -> None:
    """However a send falls into a stop, its story is told once: before it, or after."""
    async with playing(Options(port=0, speed=20.0)) as (first, receiver):
        port = int(first.url.rpartition(":")[2])

        async def keep_sending(prefix: int) -> None:
            async with Wire.to(port) as wire:
                for count in itertools.count():
                    body = {**SEND, "dst": f"1{prefix}{count:04}0001", "url": receiver.url}
                    try:
                        await wire.ask("POST", ROOT, body, {"Authorization": basic()})
                    except (OSError, EOFError):
                        return

        sending = [asyncio.ensure_future(keep_sending(41555 + each)) for each in range(20)]
        await receiver.first.wait()
        async with followed(first) as second:
            await asyncio.gather(*sending)
            await second.idle()
        assert {(3, "delivered")} == {
            (each.sequence, each.state) for each in first.messages.values()
        }
