"""`POST /forget`: a person's number and texts are blanked, and the store's files read for them."""

from __future__ import annotations

from plivostatusd.domain import phone
from plivostatusd.domain.errors import BadSend
from plivostatusd.web.lines import LinesHandler


class BadForgetting(BadSend):
    """A demand to forget what is no number."""

    slug = "bad-forgetting"
    title = "What to forget was not understood"


class ForgetHandler(LinesHandler):
    """Forgets one number. For operators."""

    is_for_operators = True

    async def post(self) -> None:
        """Say how far it got; the last line counts, and names what is not touched."""
        fields = self.fields()
        problems = [(name[:64], "is not understood here") for name in fields if name != "number"]
        given = fields.get("number")
        number = phone.normalise(given) if isinstance(given, str) else None
        if number is None:
            problems.append(("number", "expected a number such as +14155552323"))
        if problems or number is None:
            raise BadForgetting(tuple(problems))
        await self.stream(self.services.forgetting.forget(number, by=self.asker.name))
