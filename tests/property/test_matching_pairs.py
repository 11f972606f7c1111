"""A guess between two is never made, whatever else is called and listed."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from plivostatusd.domain.matching import MARGIN_US, Call, Candidate, matches

numbers = st.sampled_from(["+1", "+2"])
instants = st.integers(0, 5).map(lambda each: each * MARGIN_US // 2)
calls = st.lists(
    st.builds(
        Call,
        row=st.integers(0, 100),
        sender=st.none() | numbers,
        recipient=numbers,
        called_us=instants,
    ),
    max_size=5,
    unique_by=lambda each: each.row,
)
candidates = st.lists(
    st.builds(
        Candidate,
        message_uuid=st.text("abcdef", min_size=1, max_size=3),
        direction=st.sampled_from(["outbound", "outbound", "inbound", None]),
        sender=st.none() | numbers,
        recipient=numbers,
        at_us=st.none() | instants,
    ),
    max_size=5,
    unique_by=lambda each: each.message_uuid,
)
Pairs = set[tuple[int, str]]


def pairs(some: list[Call], others: list[Candidate]) -> Pairs:
    """Match, and give rows and names."""
    return {(one.row, other.message_uuid) for one, other in matches(some, others)}


@settings(max_examples=500)
@given(calls, candidates)
def test_each_alone(some: list[Call], others: list[Candidate]) -> None:
    """A pair is given exactly if its two fit each other, and neither of them anything else."""
    given_pairs = pairs(some, others)
    fitting = [(one, other) for one in some for other in others if other.fits(one)]
    by_row = Counter(one.row for one, _ in fitting)
    by_name = Counter(other.message_uuid for _, other in fitting)
    assert given_pairs == {
        (one.row, other.message_uuid)
        for one, other in fitting
        if by_row[one.row] == by_name[other.message_uuid] == 1
    }
    assert len(given_pairs) == len({row for row, _ in given_pairs})
    assert len(given_pairs) == len({name for _, name in given_pairs})


@settings(max_examples=300)
@given(calls, candidates, st.data())
def test_any_order(some: list[Call], others: list[Candidate], data: st.DataObject) -> None:
    """In whatever order they are called and listed, and however often, the pairs are the same."""
    shuffled = data.draw(st.permutations(some))
    again = data.draw(st.lists(st.sampled_from(others), max_size=3)) if others else []
    assert pairs(some, others) == pairs(shuffled, data.draw(st.permutations(others + again)))


@settings(max_examples=300)
@given(calls, candidates)
def test_a_rival(some: list[Call], others: list[Candidate]) -> None:
    """A second message or a second send like one of a pair undoes that pair."""
    for one, other in list(matches(some, others)):
        twin = Candidate(
            message_uuid="twin",
            direction=other.direction,
            sender=other.sender,
            recipient=other.recipient,
            at_us=other.at_us,
        )
        rival = Call(row=-1, sender=one.sender, recipient=one.recipient, called_us=one.called_us)
        pair = (one.row, other.message_uuid)
        assert pair not in pairs(some, [*others, twin])
        assert pair not in pairs([*some, rival], others)


@settings(max_examples=300)
@given(calls, candidates, calls, candidates)
def test_more_never_helps(
    some: list[Call], others: list[Candidate], more: list[Call], further: list[Candidate]
) -> None:
    """Whatever else turns out to be called or listed, no pair of the same two is new by it."""
    known = {one.row for one in some}
    named = {other.message_uuid for other in others}
    all_calls = some + [each for each in more if each.row not in known]
    all_candidates = others + [each for each in further if each.message_uuid not in named]
    among = {
        (row, name)
        for row, name in pairs(all_calls, all_candidates)
        if row in known and name in named
    }
    assert among <= pairs(some, others)
