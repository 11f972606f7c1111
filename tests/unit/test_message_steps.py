"""A long list is parsed in steps, between which others may have their turn."""

from __future__ import annotations

import pytest

from plivostatusd.domain import message


@pytest.mark.parametrize("count", [1, message.SLICE, message.RECIPIENTS_MAX])
def test_parsed_in_steps(count: int) -> None:
    """However long it is no step does more than a slice, and the end is as if it were one."""
    sender = "+14155551212"
    fields = {"to": [f"+1415556{number:04}" for number in range(count)], "text": "hi"}
    steps = message.parsing(fields, default_sender=sender)
    for _ in range(2 * (count // message.SLICE)):
        next(steps)
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert message.parse(fields, default_sender=sender) == end.value.value
