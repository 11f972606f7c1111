"""`POST /import`: rows of another program's table, as `plivostatusctl import` reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from plivostatusd.domain import imported
from plivostatusd.domain.errors import BadSend
from plivostatusd.domain.imported import BadRow
from plivostatusd.web.handler import Handler

if TYPE_CHECKING:
    from plivostatusd.domain.imported import Imported
    from plivostatusd.domain.message import Fields

ROWS_MAX: Final = 500


class BadImport(BadSend):
    """A body that holds no rows. What is wrong with a single row is no error of the whole."""

    slug = "bad-import"
    title = "The rows were not understood"


class ImportHandler(Handler):
    """Takes the good ones of some rows. For operators."""

    is_for_operators = True

    async def post(self) -> None:
        """Say what became of them; the bad ones by their place, without what they hold."""
        self.query()
        rows = rows_of(self.fields())
        importing = self.services.importing
        good: list[Imported] = []
        bad: list[dict[str, Any]] = []
        for place, row in enumerate(rows):
            try:
                good.append(imported.parse(row, now_us=importing.now_us()))
            except BadRow as error:
                bad.append({"row": place, "field": error.field, "problem": error.problem})
        taken = await importing.take(good, by=self.asker.name)
        self.reply(
            {
                "imported": taken.imported,
                "changed": taken.changed,
                "unchanged": taken.unchanged,
                "bad": bad,
            }
        )


def rows_of(fields: Fields) -> list[dict[str, Any]]:
    """Read the rows of a body. Raises `BadImport`."""
    problems = [(name[:64], "is not understood here") for name in fields if name != "rows"]
    rows = fields.get("rows")
    if (
        not isinstance(rows, list)
        or not 1 <= len(rows) <= ROWS_MAX
        or not all(isinstance(row, dict) for row in rows)
    ):
        problems.append(("rows", f"expected a list of 1 to {ROWS_MAX} objects"))
        rows = []
    if problems:
        raise BadImport(tuple(problems))
    return rows
