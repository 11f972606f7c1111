"""`POST /rebuild`: history is folded again, and each difference comes as it is found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from plivostatusd.web.lines import LinesHandler
from plivostatusd.web.reconcile import BadDemand, ids_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from plivostatusd.store.rebuilding import Difference

_WORDS: Final = {"true": True, "false": False}


class RebuildHandler(LinesHandler):
    """Compares the messages named, or all of them. For operators."""

    is_for_operators = True

    async def post(self) -> None:
        """
        Say what differs; the last line counts. `write` makes the rows right.

        With `progress` there are lines in between that say how many were compared so far.
        """
        fields = dict(self.fields())
        said = {name: _truth(fields.pop(name, False)) for name in ("write", "progress")}
        wrong = [name for name, value in said.items() if value is None]
        if wrong:
            raise BadDemand(tuple((name, "expected true or false") for name in wrong))
        writes, tells = map(bool, said.values())
        await self.stream(self._differences(ids_of(fields), writes=writes, tells=tells))

    async def _differences(
        self, ids: list[str], *, writes: bool, tells: bool
    ) -> AsyncGenerator[dict[str, Any], None]:
        compared, different = 0, set[str]()
        by = self.asker.name
        async for stretch in self.services.rebuild.compare(ids, writes=writes, by=by):
            if isinstance(stretch, str):
                yield {"id": stretch, "missing": True}
                continue
            compared += stretch.compared
            for each in stretch.differences:
                different.add(each.message_id)
                yield _shape(each)
            if tells and stretch.compared:
                yield {"compared": compared}
        yield {
            "done": True,
            "compared": compared,
            "different": len(different),
            "written": len(different) if writes else 0,
        }


def _truth(value: object) -> bool | None:
    """Read a truth value, of JSON or a form; a number is none, though 0 equals False."""
    return value if isinstance(value, bool) else _WORDS.get(str(value))


def _shape(difference: Difference) -> dict[str, Any]:
    return {
        "id": difference.message_id,
        "column": difference.column,
        "stored": difference.stored,
        "folded": difference.folded,
    }
