"""What reaches us without Nginx's knowledge is found, however it came."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.front import ID
from tests.fuzz.proxied import standing
from tests.fuzz.smuggling import HIDDEN, MARKER
from tests.wire import Wire


async def test_unknown(tmp_path: Path) -> None:
    """A request that Nginx has not sent is named, with an id of its own or without any."""
    async with standing(tmp_path) as house:
        await house.send(HIDDEN + MARKER)
        assert await house.judge() is None
        for more in (b"", f"{ID}: none\r\n".encode()):
            async with Wire.to(house.port) as wire:
                await wire.write(HIDDEN[:-2] + more + b"\r\n")
                assert "none" == (await wire.answer()).text
            await house.send(MARKER)
            sentence = await house.judge()
            assert sentence is not None
            assert sentence.startswith("Nginx knows otherwise: ours Counter({('none', 'GET', ")
        await house.send(MARKER)
        assert await house.judge() is None
        assert (5, 5) == (house.tally["answers"], house.tally["we answered 200"])
