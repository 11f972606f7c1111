"""However a history arrives, it ends in the same message."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from plivostatusd.domain import statuses
from plivostatusd.domain.statuses import RANKS, TRUST_RANKS, Fact, Fold, fold

COLUMNS = [name for name in Fold._fields if name != "facts"]

few = st.none() | st.integers(0, 3)
facts = st.builds(
    Fact,
    status=st.none() | st.sampled_from([*RANKS, "bounced", ""]),
    source=st.sampled_from(["callback", "api", "inferred", "operator", "silence", "send"]),
    trust=st.sampled_from([*TRUST_RANKS]),
    sequence=few,
    at_us=few | st.just(-5),
    error_code=st.sampled_from([None, "", "000", "30", "420"]),
    reason=st.sampled_from([None, "", "cancelled", "no answer in time"]),
    units=few,
    amount=st.sampled_from([None, "", "0.0035", "0.0070"]),
    mcc=st.sampled_from([None, "", "310"]),
    mnc=st.sampled_from([None, "", "15", "150"]),
)
# Facts that differ in little, so that ties at every place of the key are met.
alike = st.builds(Fact._replace, st.just(Fact("sent", "callback", "full")), units=few, at_us=few)
histories = st.lists(facts | alike, max_size=6)


def columns(whole: Fold) -> dict[str, Any]:
    """Give every column that is derived from the set."""
    return {name: getattr(whole, name) for name in COLUMNS}


def test_every_column_is_looked_at() -> None:
    """These tests compare all that the store writes down."""
    wanted = (
        "status initial_status status_timestamp_us error_code reason conflict final final_by"
        " units amount mcc mnc"
    )
    assert set(wanted.split()) <= set(COLUMNS)


@settings(max_examples=500)
@given(histories, st.data())
def test_any_order_and_any_doubling(history: list[Fact], data: st.DataObject) -> None:
    """Late, doubled and shuffled events leave the same message."""
    again = data.draw(st.lists(st.sampled_from(history), max_size=4)) if history else []
    shuffled = data.draw(st.permutations(history + again))
    assert columns(fold(history)) == columns(fold(shuffled))


@settings(max_examples=500)
@given(st.lists(histories, max_size=4), st.data())
def test_any_split(parts: list[list[Fact]], data: st.DataObject) -> None:
    """A history folded in parts, joined in any order and any grouping, is the whole folded."""
    whole = fold([fact for part in parts for fact in part])
    folds = data.draw(st.permutations([fold(part) for part in parts]))
    cut = data.draw(st.integers(0, len(folds)))
    left, right = join(folds[:cut]), join(folds[cut:])
    for joined in (left | right, right | left, left | whole | right, join(folds)):
        assert whole == joined
        assert columns(whole) == columns(joined)


def join(folds: Sequence[Fold]) -> Fold:
    """Join folds from the left."""
    return reduce(or_, folds, fold([]))


def by_the_contract(history: Sequence[Fact]) -> tuple[object, ...]:
    """Say the greatest key, spelt as the contract spells it; silence has no rank."""

    def key(fact: Fact) -> tuple[object, ...]:
        status = fact.status or "queued"
        return (
            {"pending": 0, "unknown": 1, "refused": 1, "sent": 3, "read": 5}.get(
                status,
                4 if status in {"delivered", "undelivered", "failed", "rejected"} else 2,
            ),
            fact.source in {"api", "operator"},
            ["local", "url-only", "full", "api"].index(fact.trust),
            -1 if fact.sequence is None else fact.sequence,
            float("-inf") if fact.at_us is None else fact.at_us,
            status,
        )

    return max((key(fact) for fact in history if fact.source != "silence"), default=(2, "queued"))


@settings(max_examples=500)
@given(histories)
def test_the_greatest_event_wins(history: list[Fact]) -> None:
    """The status is that of the greatest event by the contract's own key."""
    whole = fold(history)
    greatest = by_the_contract(history)
    assert greatest[-1] == whole.status
    assert greatest[0] == statuses.rank(whole.status)


@settings(max_examples=300)
@given(histories, facts)
def test_a_message_never_goes_back(history: list[Fact], more: Fact) -> None:
    """One event more never lowers the rank, nor makes an outcome open again."""
    ranked = [fact for fact in history if fact.source != "silence"]
    if not ranked:
        return
    before, after = fold(history), fold([*history, more])
    assert statuses.rank(before.status) <= statuses.rank(after.status)
    assert before.conflict <= after.conflict
    if statuses.rank(before.status) >= 4:
        assert after.final


@settings(max_examples=500)
@given(histories)
def test_what_is_to_be_asked(history: list[Fact]) -> None:
    """Only outcomes are contested or doubted, and the API's word ends both for good."""
    whole = fold(history)
    if whole.contested or whole.doubted:
        assert statuses.rank(whole.status) >= 4
        assert whole.final
    assert whole.conflict or not whole.contested
    for status in ("delivered", "failed", "read"):
        asked = whole | fold([Fact(status, "api", "api")])
        assert not asked.doubted or statuses.rank(asked.status) > statuses.rank(status)
        assert not asked.contested


@settings(max_examples=300)
@given(histories)
def test_columns_come_from_the_history(history: list[Fact]) -> None:
    """Nothing is made up: each column is what some event says, or None."""
    whole = fold(history)
    for name in ("error_code", "reason", "units", "amount", "mcc", "mnc"):
        value = getattr(whole, name)
        assert value is None or value in {getattr(fact, name) for fact in history}
    assert whole.status_timestamp_us in {None, *(fact.at_us for fact in history)}
    assert whole.final == (whole.final_by is not None)
