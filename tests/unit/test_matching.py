"""Which message of Plivo's list is which lost send, case by case."""

from __future__ import annotations

from typing import Any

import pytest

from plivostatusd.domain.matching import MARGIN_US, Call, Candidate, matches

AT_US = 1_790_000_000_000_000
FROM, TO, OTHER = "+14155551212", "+14155552323", "+14155559999"


def call(row: int = 1, **changed: Any) -> Call:
    """Make a send that is not settled."""
    usual: dict[str, Any] = {"sender": FROM, "recipient": TO, "called_us": AT_US}
    return Call(row=row, **(usual | changed))


def candidate(name: str = "a", **changed: Any) -> Candidate:
    """Make a message of Plivo's list."""
    usual: dict[str, Any] = {"direction": "outbound", "sender": FROM}
    usual |= {"recipient": TO, "at_us": AT_US}
    return Candidate(message_uuid=name, **(usual | changed))


def pairs(calls: list[Call], candidates: list[Candidate]) -> list[tuple[int, str]]:
    """Match, and give rows and names."""
    return [(one.row, other.message_uuid) for one, other in matches(calls, candidates)]


@pytest.mark.parametrize(
    ("changed", "fits"),
    [
        ({}, True),
        ({"at_us": AT_US - MARGIN_US}, True),
        ({"at_us": AT_US + MARGIN_US}, True),
        ({"at_us": AT_US - MARGIN_US - 1}, False),
        ({"at_us": AT_US + MARGIN_US + 1}, False),
        ({"at_us": None}, False),
        ({"direction": None}, True),
        ({"direction": "inbound"}, False),
        ({"sender": OTHER}, False),
        ({"sender": None}, False),
        ({"recipient": OTHER}, False),
        ({"recipient": None}, False),
    ],
)
def test_fits(changed: dict[str, Any], *, fits: bool) -> None:
    """It fits by sender, recipient, direction and time, all of them."""
    assert fits == candidate(**changed).fits(call())
    assert ([(1, "a")] if fits else []) == pairs([call()], [candidate(**changed)])


@pytest.mark.parametrize("sender", [FROM, OTHER, None])
def test_a_pool_may_send_from_any_number(sender: str | None) -> None:
    """A send that named no sender is fitted by any."""
    assert candidate(sender=sender).fits(call(sender=None))


def test_two_calls_and_one_message() -> None:
    """A message that may be either send's is neither's; apart in time each has its own."""
    assert [] == pairs([call(1), call(2)], [candidate()])
    later_us = AT_US + 2 * MARGIN_US + 1
    both = [candidate("a"), candidate("b", at_us=later_us)]
    assert [(1, "a"), (2, "b")] == pairs([call(1), call(2, called_us=later_us)], both)


def test_one_call_and_two_messages() -> None:
    """A send that may be either message is neither."""
    assert [] == pairs([call()], [candidate("a"), candidate("b")])


def test_a_chain() -> None:
    """Where a rival has a rival of its own, nothing is settled by exclusion."""
    first, second = call(1), call(2, called_us=AT_US + MARGIN_US)
    near, far = candidate("a", at_us=AT_US), candidate("b", at_us=AT_US + 2 * MARGIN_US)
    assert [] == pairs([first, second], [near, far])
    assert [(1, "a")] == pairs([first], [near, far])


def test_a_message_that_is_listed_twice() -> None:
    """A list whose pages have shifted names a message twice: that is one message."""
    assert [(1, "a")] == pairs([call()], [candidate(), candidate()])


def test_nothing_shows() -> None:
    """Numbers are in no repr."""
    for number in (FROM, TO):
        assert number not in repr(call()) + repr(candidate())
