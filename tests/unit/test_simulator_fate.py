"""Callbacks that are lost, doubled or late: by a seed, and the API knows better."""

from __future__ import annotations

import pytest

from plivostatusd.simulator import Options
from plivostatusd.simulator.fate import LATE_S_MAX, Fate, fate_of
from tests.unit.simulator_receiver import SPEED, number, playing, send

UNTOUCHED = Fate(is_lost=False, is_doubled=False, late_s=0.0)


def drawn(options: Options) -> list[Fate]:
    """Draw three fates for each of a thousand messages."""
    return [
        fate_of(options, f"7/{lot}", sequence) for lot in range(1_000) for sequence in (1, 2, 3)
    ]


def test_shares_are_kept() -> None:
    """Of many callbacks the shares that were asked for are lost, doubled and late."""
    fates = drawn(Options(lose=0.1, double=0.2, delay=0.5))
    assert 200 < sum(fate.is_lost for fate in fates) < 400
    assert 480 < sum(fate.is_doubled for fate in fates) < 720
    late = [fate.late_s for fate in fates if fate.late_s]
    assert 1_350 < len(late) < 1_650
    assert LATE_S_MAX / 2.3 < sum(late) / len(late) < LATE_S_MAX / 1.7
    assert max(late) <= LATE_S_MAX


def test_nothing_befalls_by_default() -> None:
    """Without shares nothing happens on the way, with shares of one everything does."""
    assert {UNTOUCHED} == set(drawn(Options()))
    assert all(
        fate.is_lost and fate.is_doubled and fate.late_s
        for fate in drawn(Options(lose=1.0, double=1.0, delay=1.0))
    )


@pytest.mark.gen_test
async def test_what_is_lost_the_api_alone_knows() -> None:
    """With every callback lost none is made, the losses are noted, and the message is delivered."""
    async with playing(Options(port=0, speed=SPEED, lose=1.0)) as (simulator, receiver):
        for digits in ("0001", "0008", "0009", "0013"):
            assert (await send(simulator, number(digits), receiver.url)).code == 202
        await simulator.idle()
        assert [] == [each for each in receiver.arrived if each.status != "failed"]
        for message in simulator.messages.values():
            assert ("delivered", {1, 2, 3}) == (message.state, message.lost)
            assert all(delivery.is_forged for delivery in message.deliveries)


@pytest.mark.gen_test
@pytest.mark.parametrize("retry_nonce", ["new", "same"])
async def test_doubles_come_twice(retry_nonce: str) -> None:
    """A doubled callback comes twice with the same fields, signed anew or the same to the byte."""
    options = Options(port=0, speed=SPEED, double=1.0, retry_nonce=retry_nonce)  # type: ignore[arg-type]  # a parameter of the test
    async with playing(options) as (simulator, receiver):
        await send(simulator, number("0002"), receiver.url)
        await simulator.idle()
        assert ["queued", "queued", "sent", "sent", "undelivered", "undelivered"] == (
            receiver.statuses
        )
        for one, other in zip(receiver.arrived[::2], receiver.arrived[1::2], strict=True):
            assert one.body == other.body
            assert (one.headers == other.headers) is (retry_nonce == "same")
        assert all(each.verifies() for each in receiver.arrived)


@pytest.mark.gen_test
async def test_late_ones_are_overtaken() -> None:
    """Late callbacks all come, numbered as things happened, and not in that order."""
    options = Options(port=0, speed=100.0, delay=1.0, seed=1)
    async with playing(options) as (simulator, receiver):
        for prefix in range(10):
            simulator.take(dst=f"141555{prefix}0001", url=receiver.url)
        await simulator.idle()
        orders: dict[str, list[str]] = {}
        for each in receiver.arrived:
            orders.setdefault(each.fields["To"], []).append(each.fields["Sequence"])
        in_order = ["1", "2", "3"]
        assert [in_order] * 10 == [sorted(order) for order in orders.values()]
        assert [] != [order for order in orders.values() if order != in_order]


@pytest.mark.gen_test
async def test_a_lot_is_drawn_by_number() -> None:
    """Under one seed a recipient's messages fare the same, whoever else is sent to before."""
    numbers = [number(f"{story:04}") for story in (1, 1, 2, 3, 4)]
    seen = []
    for order in (numbers, numbers[::-1]):
        options = Options(port=0, speed=SPEED, seed=5, lose=0.5)
        async with playing(options) as (simulator, receiver):
            taken = [simulator.take(dst=dst.strip("+"), url=receiver.url) for dst in order]
            await simulator.idle()
            seen.append({(each.uuid, each.dst, tuple(sorted(each.lost))) for each in taken})
    assert seen[0] == seen[1]
    assert len(numbers) == len(seen[0])


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
@pytest.mark.parametrize("name", ["lose", "double", "delay"])
def test_shares_are_shares(name: str, share: float) -> None:
    """A share below 0 or above 1 is refused by its name."""
    with pytest.raises(ValueError, match=name):
        Options(**{name: share})  # type: ignore[arg-type]  # a parameter of the test
