"""
`GET /openapi.json`: the local API, described as OpenAPI 3.1.

The document is written by hand, in `openapi.json` beside this file, and is the one place where the
API is described. Tests hold it against the routes there are, against what they answer, and, by
`make api-check`, against whatever a generator of requests can think of.
Source: spec.openapis.org/oas/v3.1.1, read 2026-11.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from plivostatusd import __version__
from plivostatusd.web.handler import Handler

_FILE: Final = Path(__file__).with_name("openapi.json")


@cache
def document() -> dict[str, Any]:
    """Give the document, as of this version of the daemon. It is not to be changed."""
    described: dict[str, Any] = json.loads(_FILE.read_text("utf-8"))
    described["info"]["version"] = __version__
    return described


class DescriptionHandler(Handler):
    """Describes all that is served here."""

    def get(self) -> None:
        """Answer with the document."""
        self.query()
        self.reply(document())
