"""Answers that come line by line, as they are found: one JSON object a line."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, Final

from tornado.iostream import StreamClosedError

from plivostatusd.domain.errors import Refusal
from plivostatusd.web.documents import spell
from plivostatusd.web.lasting import LastingHandler
from plivostatusd.web.problems import of_refusal

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    Document = dict[str, Any]

MEDIA_TYPE: Final = "application/x-ndjson"


class LinesHandler(LastingHandler):
    """Streams documents until there are no more, the client goes away, or the daemon stops."""

    async def stream(self, documents: AsyncGenerator[Document | list[Document], None]) -> None:
        """
        Write each of *documents*, or several at once, as they come.

        A refusal on the way is the last line.
        """
        self.set_header("Content-Type", MEDIA_TYPE)
        with suppress(StreamClosedError):
            async with aclosing(documents):
                try:
                    while (found := await self._next(documents)) is not None:
                        await self._write_lines(found if isinstance(found, list) else [found])
                        await self.services.give_way()
                except Refusal as refusal:
                    await self._write_lines([{"error": of_refusal(refusal)}])

    async def _next(
        self, documents: AsyncGenerator[Document | list[Document], None]
    ) -> Document | list[Document] | None:
        following = asyncio.ensure_future(anext(documents, None))
        await asyncio.wait({following, self.over}, return_when=asyncio.FIRST_COMPLETED)
        if not following.done():
            following.cancel()
            await asyncio.wait([following])
        return None if following.cancelled() else following.result()

    async def _write_lines(self, documents: list[Document]) -> None:
        for document in documents:
            self.write(spell(document))
        await self.flush()
