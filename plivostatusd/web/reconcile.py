"""`POST /reconcile`: Plivo is asked now, and each answer comes as it is known."""

from __future__ import annotations

from collections import Counter
from contextlib import aclosing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from plivostatusd.domain.errors import BadSend
from plivostatusd.web.lines import LinesHandler

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from plivostatusd.domain.message import Fields

IDS_MAX: Final = 1_000
_ID_CHARACTERS_MAX: Final = 64


class BadDemand(BadSend):
    """What is to be asked about was not understood."""

    slug = "bad-demand"
    title = "What is to be looked at was not understood"


def ids_of(fields: Fields) -> list[str]:
    """Read the ids of a demand; none at all means everything. Raises `BadDemand`."""
    problems = [(name[:64], "is not understood here") for name in fields if name != "ids"]
    ids = fields.get("ids", [])
    if isinstance(ids, str):
        ids = [ids]
    if not isinstance(ids, list) or len(ids) > IDS_MAX or not all(map(_is_id, ids)):
        problems.append(("ids", f"expected a list of at most {IDS_MAX} ids"))
    if problems:
        raise BadDemand(tuple(problems))
    return [str(each) for each in ids]


def _is_id(each: object) -> bool:
    return isinstance(each, str) and each.isascii() and 0 < len(each) <= _ID_CHARACTERS_MAX


class ReconcileHandler(LinesHandler):
    """Asks about the messages named, or about all that are open. For operators."""

    is_for_operators = True

    async def post(self) -> None:
        """Ask, and say what each answer changed; the last line counts them."""
        await self.stream(self._answers(ids_of(self.fields())))

    async def _answers(self, ids: list[str]) -> AsyncGenerator[dict[str, Any], None]:
        reconcile = self.services.reconcile
        results: Counter[str] = Counter()
        async with aclosing(reconcile.demand(ids) if ids else reconcile.demand_all()) as asked:
            async for outcome in asked:
                if isinstance(outcome, str):
                    results["not-found"] += 1
                    yield {"id": outcome, "result": "not-found"}
                    continue
                results[outcome.result] += 1
                said = asdict(outcome)
                yield {"id": said.pop("message_id"), **said}
        yield {"done": True, "asked": sum(results.values()), "results": dict(results)}
