"""The local API's spelling of JSON."""

from __future__ import annotations

import json

from plivostatusd.web.documents import spell


def test_one_line_without_blanks() -> None:
    """A document is one line, letters stand as they are, and JSON reads it back."""
    document = {"text": "a\nbé", "list": [1, None, True]}
    assert '{"text":"a\\nbé","list":[1,null,true]}\n' == spell(document)
    assert document == json.loads(spell(document))
