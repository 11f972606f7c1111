"""The local API's spelling of JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest

from plivostatusd.web.documents import SLICE, spell, spell_list


async def turn() -> None:
    """Give way for one turn of the loop."""
    await asyncio.sleep(0)


def test_one_line_without_blanks() -> None:
    """A document is one line, letters stand as they are, and JSON reads it back."""
    document = {"text": "a\nbé", "list": [1, None, True]}
    assert '{"text":"a\\nbé","list":[1,null,true]}\n' == spell(document)
    assert document == json.loads(spell(document))


@pytest.mark.parametrize("count", [0, 1, SLICE, SLICE + 1])
async def test_a_list_in_slices(count: int) -> None:
    """A list is spelt as the whole object would be, however many slices it takes."""
    documents = [{"id": number, "text": "é"} for number in range(count)]
    for rest in ({}, {"next": None, "left": 0}):
        expected = spell({"messages": documents, **rest})
        assert expected == await spell_list("messages", iter(documents), rest, turn)


async def test_others_have_their_turn() -> None:
    """A long list gives way after each slice of it."""
    made: list[int] = []
    seen: list[int] = []

    async def give_way() -> None:
        seen.append(len(made))

    def documents() -> Iterator[int]:
        for number in range(3 * SLICE):
            made.append(number)
            yield number

    await spell_list("all", documents(), {}, give_way)
    assert [SLICE, 2 * SLICE, 3 * SLICE] == seen
